-- After the commit: remembers how the task ended, and forgets its cells if they are those that ended it (DELIVERY §2).
-- KEYS: checkpoint, done, claims. ARGV: done, its redrive number, digest of our last cell, keep the cells (1) or not (0). Answers {status}; STALE: a higher redrive number is known, nothing was done.
local redrives = tonumber(ARGV[2])
local mark = call('HGET', KEYS[3], 'redrive')
if mark and (tonumber(mark:match('^(%d+) ')) or 0) > redrives then return {STALE} end -- RULE(settle-mark)

local done = call('GET', KEYS[2])
if done then
  local version = tonumber(done:match('^(%d+) '))
  local number = tonumber(done:match('^1 %a+ (%d+) '))
  -- What a newer version wrote can't be read here, so it is taken to know more; what nobody can read is replaced.
  if (version and version > 1) or (number and number > redrives) then return {STALE} end -- RULE(settle-number)
end
call('SET', KEYS[2], ARGV[1], 'PX', DONE_LIFE)

local _, top = seqs_of(KEYS[1])
if top < 0 or call('HGET', KEYS[1], top):sub(1, 16) ~= ARGV[3] then return {OK} end -- RULE(settle-digest)
if ARGV[4] == '0' then
  call('UNLINK', KEYS[1], KEYS[3])
else
  call('PEXPIRE', KEYS[1], FAILED_LIFE)
  call('HDEL', KEYS[3], 'starts')
  call('PEXPIRE', KEYS[3], FAILED_LIFE)
end
return {OK}
