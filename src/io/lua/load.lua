-- What is stored of a task, and one start more. (Session memory comes by a command of its own: its texts would only pass through here.)
-- KEYS: checkpoint, done, cancel, claims, session tokens. ARGV: which process loads it.
-- Answers {status, cancel, done, cells, starts, session tokens, now, was a start added (1) or not (0)}.
local told = call('MGET', KEYS[2], KEYS[3], KEYS[5])
local done, cancel = told[1], told[2] and 1 or 0
local starts, raised = 0, 0
local now = redis_time()

-- A task that is done won't be run, so nothing must be left behind that outlives it.
if not done then
  -- Asked again by the process that asked last, because the answer was lost or another record names the task, is not another start: an
  -- outage or a duplicate must not look like a crash.
  local count, who = (call('HGET', KEYS[4], 'starts') or ''):match('^(%d+) (%S+)$')
  if who ~= ARGV[1] then raised = 1 end -- RULE(starts-same): raised = 1
  starts = (tonumber(count) or 0) + raised
  call('HSET', KEYS[4], 'starts', string.format('%d %s', starts, ARGV[1]))
  call('PEXPIRE', KEYS[4], LIFE)
end
return {OK, cancel, done, call('HGETALL', KEYS[1]), starts, told[3], now, raised}
