-- What is stored of a task, and one start more. (Session memory comes by a command of its own: its texts would only pass through here.)
-- KEYS: checkpoint, done, cancel, claims, session tokens. ARGV: who loads it (a process and its task number).
-- Answers {status, cancel, done, cells, starts, session tokens, now}.
local told = call('MGET', KEYS[2], KEYS[3], KEYS[5])
local done, cancel = told[1], told[2] and 1 or 0
local starts = 0
local now = redis_time()

-- A task that is done won't be run, so nothing must be left behind that outlives it.
if not done then
  -- Asked again by the one that asked last, because the answer was lost, is not another start: an outage must not look like a crash.
  local count, who = (call('HGET', KEYS[4], 'starts') or ''):match('^(%d+) (%S+)$')
  starts = tonumber(count) or 0
  if who ~= ARGV[1] then starts = starts + 1 end -- RULE(starts-same): starts = starts + 1
  call('HSET', KEYS[4], 'starts', string.format('%d %s', starts, ARGV[1]))
  call('PEXPIRE', KEYS[4], LIFE)
end
return {OK, cancel, done, call('HGETALL', KEYS[1]), starts, told[3], now}
