-- Where KEYS[1] stands on its ladder: the failures, and the milliseconds for which it is locked. `now`, in microseconds,
-- is defined by whoever runs this.
local stored = tonumber(redis.call('GET', KEYS[1]) or '0')
return {stored % 1000, math.max(0, math.floor(stored / 1000) - math.floor(now / 1000))}
