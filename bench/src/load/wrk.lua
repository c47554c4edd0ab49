-- Sends the prepared requests and prints what was seen as one line of JSON.
-- `prepared` stands above this text, and `chained`, the field that an answer hands to the next request, if there is one.

local threads = 0

function setup(thread)
    thread:set("first", threads)
    threads = threads + 1
end

local requests = {}
local last = 0

function init(_)
    for index, request in ipairs(prepared) do
        requests[index] = wrk.format(request.method, request.path, request.headers, request.body)
    end
    -- Every thread begins somewhere else, so that they do not ask the same at the same moment.
    last = first * 7
end

function request()
    last = last % #requests + 1
    return requests[last]
end

if chained then
    -- Those that may be sent: first in, first out. One thread only, because threads share nothing.
    local queue, oldest, newest = {}, 1, 0
    local field = '("' .. chained .. '":")([^"]*)'

    local function wait(body)
        newest = newest + 1
        queue[newest] = body
    end

    function init(_)
        for _, each in ipairs(prepared) do
            wait(each.body)
        end
    end

    function request()
        local body = queue[oldest]
        queue[oldest] = nil
        oldest = oldest + 1
        -- With nothing left to send, an empty body is refused, and refusals fail the measurement.
        return wrk.format(prepared[1].method, prepared[1].path, prepared[1].headers, body or "")
    end

    -- Only here: who defines it has every answer taken apart.
    function response(_, _, body)
        local _, value = body:match(field)
        if value then
            wait((prepared[1].body:gsub(field, function(name) return name .. value end)))
        end
    end
end

function done(summary, latency, _)
    local errors = summary.errors
    io.write(string.format(
        '\nOBSERVED {"requests":%d,"duration_us":%d,"p50_us":%.0f,"p99_us":%.0f,"p999_us":%.0f,' ..
        '"refused":%d,"broken":%d}\n',
        summary.requests, summary.duration,
        latency:percentile(50), latency:percentile(99), latency:percentile(99.9),
        errors.status, errors.connect + errors.read + errors.write + errors.timeout
    ))
end
