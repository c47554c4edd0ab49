-- The rule of ladder.rs, on the stored number of KEYS[1]. ARGV[1] is the window, then come pairs: failures and wait of
-- each rung from the lowest; all times in milliseconds. `now`, in microseconds, is defined by whoever runs this.
-- Answers whether the failure was counted, the failures, for how long the key is locked, and how long it lives.
now = math.floor(now / 1000)
local stored = tonumber(redis.call('GET', KEYS[1]) or '0')
local failures, locked_until = stored % 1000, math.floor(stored / 1000)
if locked_until > now then
  return {0, failures, locked_until - now, redis.call('PTTL', KEYS[1])}
end
local lives = tonumber(ARGV[1])
if stored > 0 then
  lives = redis.call('PTTL', KEYS[1])
end
failures = math.min(failures + 1, 999)
local wait = 0
for rung = 2, #ARGV, 2 do
  if tonumber(ARGV[rung]) <= failures then
    wait = tonumber(ARGV[rung + 1])
  end
end
locked_until = 0
if wait > 0 then
  locked_until = now + wait
end
lives = math.max(1, lives, wait)
-- '%.0f', because a plain conversion keeps only 14 digits.
redis.call('SET', KEYS[1], string.format('%.0f', locked_until * 1000 + failures), 'PX', lives)
return {1, failures, wait, lives}
