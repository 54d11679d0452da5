-- What is stored of a task, and one start more. (Session memory comes by a command of its own: its texts would only pass through here.)
-- KEYS: checkpoint, done, cancel, claims, session tokens. ARGV: which process loads it; with more starts than
-- this number it will wait for its turn and then be loaded again (0: it is its turn).
-- Answers {status, cancel, done, cells, starts, session tokens, now, was a start added (1) or not (0)}.
local told = call('MGET', KEYS[2], KEYS[3], KEYS[5])
local done, cancel = told[1], told[2] and 1 or 0
local starts, raised, waits = 0, 0, tonumber(ARGV[2])
local now = redis_time()

-- A task that is done won't be run, so nothing must be left behind that outlives it.
if not done then
  -- Asked again by the process that asked last, because the answer was lost or another record names the task, is not another start: an
  -- outage or a duplicate must not look like a crash.
  local count, who = (call('HGET', KEYS[4], 'starts') or ''):match('^(%d+) (%S+)$')
  if who ~= ARGV[1] then raised = 1 end -- RULE(starts-same): raised = 1
  starts = tonumber(count) or 0
  -- What kills the worker now is not a task that waits: else those that lie beside one that kills would be taken for it.
  if waits > 0 and starts > waits then raised = 0 end -- RULE(starts-turn)
  starts = starts + raised
  if raised == 1 then call('HSET', KEYS[4], 'starts', string.format('%d %s', starts, ARGV[1])) end
  call('PEXPIRE', KEYS[4], LIFE)
end
return {OK, cancel, done, call('HGETALL', KEYS[1]), starts, told[3], now, raised}
