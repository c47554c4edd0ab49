-- Forgets the failures of KEYS[1] unless it is locked. Answers the milliseconds for which it is. `now`, in microseconds,
-- is defined by whoever runs this.
local stored = tonumber(redis.call('GET', KEYS[1]) or '0')
local left = math.max(0, math.floor(stored / 1000) - math.floor(now / 1000))
if left == 0 and stored > 0 then
  redis.call('DEL', KEYS[1])
end
return left
