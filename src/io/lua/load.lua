-- All that is stored of a task and its session, and one start more.
-- KEYS: checkpoint, done, cancel, claims, session messages, session tokens. ARGV: life of claims in ms.
-- Answers {status, cancel, done, cells, starts, messages, session tokens, now}.
local done = redis.call('GET', KEYS[2])
local starts = 0
local now = redis_time()

-- A task that is done won't be run, so nothing must be left behind that outlives it.
if not done then
  starts = redis.call('HINCRBY', KEYS[4], 'starts', 1)
  redis.call('PEXPIRE', KEYS[4], ARGV[1])
end
return {
  OK, redis.call('EXISTS', KEYS[3]), done, redis.call('HGETALL', KEYS[1]), starts, redis.call('LRANGE', KEYS[5], 0, -1),
  redis.call('GET', KEYS[6]), now,
}
