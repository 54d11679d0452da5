-- Adds cells to a task's history, if they belong to it (DELIVERY §2).
-- KEYS: checkpoint, done, cancel, claims; if there are tokens: session tokens, the agent's counters; if there are messages: session messages.
-- ARGV: life; head = first seq that the caller asks for, seq of the cell that brings the messages + 1 (0: none), the seqs that the caller
--       holds (2 bytes each); then two for each cell: place, and digest + event; if there are messages: the two.
--       place = seq, above (2 bytes each), which of KEYS counts for the agent, number of parents (1 byte each), parents, tokens as text.
-- Answers {status, cancel, done, cells, written, orphans, session tokens (0: none were added)}.
local checkpoint, head = KEYS[1], ARGV[2]
local FIRST, PARENTS = 3, 7

local told = call('MGET', KEYS[2], KEYS[3])
local done, cancel = told[1], told[2] and 1 or 0
if done then return {GONE, cancel, done, call('HGETALL', checkpoint), 0, 0, 0} end -- RULE(gone)

local first, messages_seq = number_at(head, 1), number_at(head, 3) - 1
local last = messages_seq < 0 and #ARGV or #ARGV - 2
local have, top = seqs_of(checkpoint)
local known, own = {}, {}
local written, orphans, session_tokens = 0, 0, 0

-- Something above a cell that is absent can only be there because Redis lost the cell. It stays if this call offers a part of it with the
-- same digest (the digest proves the way down); else another history takes its place now, and it must not be mixed with that.
local function make_way(above, from)
  for at = from, last, 2 do
    local seq = number_at(ARGV[at], 1)
    if seq >= above and have[seq] and call('HGET', checkpoint, seq):sub(1, 16) == ARGV[at + 1]:sub(1, 16) then return end
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
  if call('INCRBY', counter, tokens) == tonumber(tokens) then call('PEXPIRE', counter, AGENT_TOKENS_LIFE) end
  session_tokens = call('INCRBY', KEYS[5], tokens)
  call('PEXPIRE', KEYS[5], SESSION_TOKENS_LIFE)
end

local function remember_messages()
  local key = KEYS[#KEYS]
  call('RPUSH', key, ARGV[last + 1], ARGV[last + 2])
  call('LTRIM', key, -SESSION_MESSAGES, -1)
  call('PEXPIRE', key, SESSION_LIFE)
  -- Redis' own estimate is never too low, and saves fetching the texts; an ACL may forbid it.
  local used = redis.pcall('MEMORY', 'USAGE', key, 'SAMPLES', 0)
  if type(used) == 'number' and used <= SESSION_BYTES then return end
  local messages, bytes = call('LRANGE', key, 0, -1), 0
  for at = #messages, 1, -1 do
    bytes = bytes + #messages[at]
    if bytes > SESSION_BYTES then
      -- whole turns only: a memory must not begin with an answer
      call('LTRIM', key, at + (#messages - at) % 2, -1)
      return
    end
  end
end

local function put(at, seq, cell)
  local place = ARGV[at]
  local above, counter, parents = number_at(place, 3), place:byte(5, 6)
  if top >= above then make_way(above, at + 2) end -- RULE(orphans)
  call('HSET', checkpoint, seq, cell)
  have[seq], own[seq], known[seq] = true, true, cell:sub(1, 16)
  if seq > top then top = seq end
  written = written + 1
  if counter > 0 then count(place:sub(PARENTS + 18 * parents), KEYS[counter]) end
  if seq == messages_seq then remember_messages() end
end

local function finish(status, cells)
  if written > 0 then
    call('HDEL', KEYS[4], 'starts') -- RULE(starts-new-cell)
  else
    call('PEXPIRE', KEYS[4], ARGV[1])
  end
  call('PEXPIRE', checkpoint, ARGV[1])
  return {status, cancel, false, cells, written, orphans, session_tokens}
end

for at = FIRST, last, 2 do
  local place, cell = ARGV[at], ARGV[at + 1]
  local seq = number_at(place, 1)
  if not fits(checkpoint, place, PARENTS, place:byte(6), known) then return finish(STALE, call('HGETALL', checkpoint)) end -- RULE(parents)
  if not have[seq] then -- RULE(write-once): if true then
    put(at, seq, cell)
  else
    local digest = known[seq] or call('HGET', checkpoint, seq):sub(1, 16)
    known[seq] = digest -- RULE(count-new): known[seq] = digest; if place:byte(5) > 0 then count(place:sub(PARENTS + 18 * place:byte(6)), KEYS[place:byte(5)]) end
    own[seq] = digest == cell:sub(1, 16)
  end
end

for at = 5, #head, 2 do
  local seq = number_at(head, at)
  if own[seq] == nil then own[seq] = true end
end
local others = {}
for seq in pairs(have) do
  if seq >= first and not own[seq] then -- RULE(adopt): if false then
    others[#others + 1] = seq
    others[#others + 1] = call('HGET', checkpoint, seq)
  end
end
return finish(OK, others)
