-- Adds ARGV[1] to the counter KEYS[1], which lives for ARGV[2] milliseconds from its first increment. Answers the value
-- and the milliseconds it has left.
local value = redis.call('INCRBY', KEYS[1], ARGV[1])
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  left = tonumber(ARGV[2])
end
return {value, left}
