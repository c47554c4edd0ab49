-- Sends the prepared requests in turn and prints what was seen as one line of JSON.
-- `prepared` stands above this text.

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
