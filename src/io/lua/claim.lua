-- Claims the call of a non-repeatable tool, so that nobody else makes it (DELIVERY §2).
-- KEYS: checkpoint, done, cancel, claims. ARGV: seq of the tool's answer, parents, nonce, the tool's timeout.
-- Answers {status, cancel, done, cells, now, nonce, since, timeout}; the last three of whoever holds the claim.
local checkpoint, seq = KEYS[1], ARGV[1]
local cancel, now = call('EXISTS', KEYS[3]), redis_time()

local done = call('GET', KEYS[2])
if done then return {GONE, cancel, done, call('HGETALL', checkpoint), now} end -- RULE(claim-gone)
if not fits(checkpoint, ARGV[2], 1, #ARGV[2] / 18, {}) then return {STALE, cancel, false, call('HGETALL', checkpoint), now} end -- RULE(claim-parents)
local cell = call('HGET', checkpoint, seq)
if cell then return {ANSWERED, cancel, false, {seq, cell}, now} end -- RULE(claim-answered)

local claim = call('HGET', KEYS[4], seq)
if claim then
  local nonce, since, timeout = claim:match('^(%S+) (%d+) (%d+)$')
  -- A claim that can't be read is somebody's all the same; it begins now, and the answer of the waiting will be "unknown".
  if nonce ~= ARGV[3] then return {HELD, cancel, false, {}, now, nonce or '?', since or now, timeout or ARGV[4]} end -- RULE(claim-held)
end
call('HSET', KEYS[4], seq, string.format('%s %.0f %s', ARGV[3], now, ARGV[4]))
call('PEXPIRE', KEYS[4], LIFE)
return {OK, cancel, false, {}, now, ARGV[3], now, ARGV[4]}
