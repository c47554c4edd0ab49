-- Appends ARGV[2] to the stream KEYS[1], which keeps about ARGV[1] entries, and answers the entry's id, LIFE-NUMBER.
-- The numbers of one life have no holes. A stream that does not exist begins a life named after the time, so that a
-- server that has lost its data is not taken for one that goes on.
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local id
if last then
  local life, number = string.match(last[1], '^(%d+)-(%d+)$')
  id = life .. '-' .. string.format('%.0f', tonumber(number) + 1)
else
  local time = redis.call('TIME')
  id = time[1] .. string.format('%06d', tonumber(time[2])) .. '-0'
end
return redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], id, 'payload', ARGV[2])
