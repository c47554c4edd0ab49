-- Takes up to ARGV[3] units of a rate from KEYS[1], or gives -ARGV[3] of them back, in one round trip.
-- ARGV[1]: microseconds in which one unit comes back; ARGV[2]: units of a full burst.
-- Answers {units granted, microseconds until the next one would be there}. The rule is take_up_to of gcra.rs.
-- Times are microseconds, which doubles hold exactly until 2255. The key may be shared with limits that take units one
-- by one: what is stored is the same theoretical arrival time.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local interval, burst, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local capacity = interval * burst
local arrival = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
local granted
if wanted < 0 then
  granted = wanted
else
  granted = math.min(wanted, math.max(0, math.floor((capacity - (arrival - now)) / interval)))
end
local charged = math.max(now, arrival + granted * interval)
if charged <= now then
  redis.call('DEL', KEYS[1])
elseif granted ~= 0 then
  -- Forgotten as soon as it is in the past. '%.0f', because a plain conversion keeps only 14 digits.
  redis.call('SET', KEYS[1], string.format('%.0f', charged), 'PX', math.max(1, math.ceil((charged - now) / 1000)))
end
return {granted, math.max(0, charged - now + interval - capacity)}
