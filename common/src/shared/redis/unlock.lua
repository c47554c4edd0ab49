-- Forgets the failures and the lock of KEYS[1]. Answers the failures, and the milliseconds for which it was locked. `now`,
-- in microseconds, is defined by whoever runs this.
local stored = tonumber(redis.call('GET', KEYS[1]) or '0')
redis.call('DEL', KEYS[1])
return {stored % 1000, math.max(0, math.floor(stored / 1000) - math.floor(now / 1000))}
