-- Adds cells to a task's history, if they belong to it (DELIVERY §2).
-- KEYS: checkpoint, done, cancel, claims, session messages, session tokens, then the agent's token counters.
-- ARGV: life, first seq that the caller asks for, the seqs it holds from there (2 bytes each), seq of the cell that brings session
--       messages, the two messages, their life, their number, their bytes, life of the agent's counters, life of the session's counter;
--       then per cell: seq, above, parents, digest + event, tokens, which of the agent's counters (its place in KEYS).
-- Answers {status, cancel, done, cells, written, orphans}.
local checkpoint, first = KEYS[1], tonumber(ARGV[2])
local FIRST_CELL, CELL = 12, 6

local told = call('MGET', KEYS[2], KEYS[3])
local done, cancel = told[1], told[2] and 1 or 0
if done then return {GONE, cancel, done, call('HGETALL', checkpoint), 0, 0} end

local have, top = seqs_of(checkpoint)
local known, own = {}, {}
local written, orphans = 0, 0

-- Something above a cell that is absent can only be there because Redis lost the cell. It stays if this call offers a part of it with the
-- same digest (the digest proves the way down); else another history takes its place now, and it must not be mixed with that.
local function make_way(above, from)
  for at = from, #ARGV, CELL do
    local seq = tonumber(ARGV[at])
    if seq >= above and have[seq] then
      local stored = call('HGET', checkpoint, seq)
      if stored:sub(1, 16) == ARGV[at + 3]:sub(1, 16) then return end
    end
  end
  top = -1
  for seq in pairs(have) do
    if seq >= above then
      call('HDEL', checkpoint, seq)
      have[seq], known[seq] = nil, nil
      orphans = orphans + 1
    elseif seq > top then
      top = seq
    end
  end
end

local function count(tokens, counter)
  if call('INCRBY', counter, tokens) == tonumber(tokens) then call('PEXPIRE', counter, ARGV[10]) end
  call('INCRBY', KEYS[6], tokens)
  call('PEXPIRE', KEYS[6], ARGV[11])
end

local function remember_messages()
  local most = tonumber(ARGV[9])
  call('RPUSH', KEYS[5], ARGV[5], ARGV[6])
  call('LTRIM', KEYS[5], -ARGV[8], -1)
  call('PEXPIRE', KEYS[5], ARGV[7])
  -- Redis' own estimate is never too low, and saves fetching the texts; an ACL may forbid it.
  local used = redis.pcall('MEMORY', 'USAGE', KEYS[5], 'SAMPLES', 0)
  if type(used) == 'number' and used <= most then return end
  local messages, bytes = call('LRANGE', KEYS[5], 0, -1), 0
  for at = #messages, 1, -1 do
    bytes = bytes + #messages[at]
    if bytes > most then
      -- whole turns only: a memory must not begin with an answer
      local dropped = at + (#messages - at) % 2
      call('LTRIM', KEYS[5], dropped, -1)
      return
    end
  end
end

local function put(at)
  local seq, cell, tokens = tonumber(ARGV[at]), ARGV[at + 3], ARGV[at + 4]
  local above = tonumber(ARGV[at + 1])
  if top >= above then make_way(above, at + CELL) end
  call('HSET', checkpoint, ARGV[at], cell)
  have[seq], own[seq], known[seq] = true, true, cell:sub(1, 16)
  if seq > top then top = seq end
  written = written + 1
  if tokens ~= '0' then count(tokens, KEYS[tonumber(ARGV[at + 5])]) end
  if ARGV[at] == ARGV[4] then remember_messages() end
end

local function finish(status, cells)
  if written > 0 then
    call('HDEL', KEYS[4], 'starts')
  else
    call('PEXPIRE', KEYS[4], ARGV[1])
  end
  call('PEXPIRE', checkpoint, ARGV[1])
  return {status, cancel, false, cells, written, orphans}
end

for at = FIRST_CELL, #ARGV, CELL do
  local seq = tonumber(ARGV[at])
  if not fits(checkpoint, ARGV[at + 2], known) then return finish(STALE, call('HGETALL', checkpoint)) end
  if not have[seq] then
    put(at)
  else
    local digest = known[seq] or call('HGET', checkpoint, seq):sub(1, 16)
    known[seq] = digest
    own[seq] = digest == ARGV[at + 3]:sub(1, 16)
  end
end

for at = 1, #ARGV[3], 2 do
  local high, low = ARGV[3]:byte(at, at + 1)
  local seq = high * 256 + low
  if own[seq] == nil then own[seq] = true end
end
local others = {}
for seq in pairs(have) do
  if seq >= first and not own[seq] then
    others[#others + 1] = seq
    others[#others + 1] = call('HGET', checkpoint, seq)
  end
end
return finish(OK, others)
