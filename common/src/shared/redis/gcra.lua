-- The rule of govern's gcra.rs, on the stored time of KEYS[1]; all times in microseconds. Doubles hold them exactly until 2255.
-- `now` is defined by whoever runs this.
local interval, capacity, charge = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local arrival = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
local charged = arrival + charge
local ahead = charged - now
if ahead <= capacity then
  -- Forgotten as soon as it is in the past. '%.0f', because a plain conversion keeps only 14 digits.
  redis.call('SET', KEYS[1], string.format('%.0f', charged), 'PX', math.max(1, math.ceil(ahead / 1000)))
  return {1, math.floor((capacity - ahead) / interval), ahead}
end
local wait = ahead - capacity
if charge > capacity then
  wait = arrival - now
end
return {0, math.max(1, wait), arrival - now}
