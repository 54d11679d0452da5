-- What the scripts below share. The worker puts this text before each of them, and before this the options as constants: LIFE, FAILED_LIFE,
-- DONE_LIFE, CANCEL_LIFE, SESSION_LIFE, AGENT_TOKENS_LIFE, SESSION_TOKENS_LIFE (ms, as texts: a number would be printed for each command),
-- SESSION_MESSAGES, SESSION_BYTES.
-- A script answers {status, …}; the numbers are those of enum cells_status.
-- A cell is the field <seq> of the checkpoint: 16 bytes of digest, then the event. A list of parents is, for each, 2 bytes of seq
-- (big endian) and 16 of digest.
-- A line marked RULE(name) at its end is a safety rule that the simulator can switch off (tests/sim): there the line is left out, or replaced
-- by what stands behind the mark.
-- What costs: each byte of a value that comes into Lua (it is hashed), each argument (0.5 us), each command (1 us).
local call = redis.call
local OK, GONE, STALE, HELD, ANSWERED = 0, 1, 2, 3, 4

local function number_at(bytes, at)
  local high, low = bytes:byte(at, at + 1)
  return high * 256 + low
end

-- Is each of the n parents, listed in `list` from the byte `from`, stored with the digest named? `known` remembers digests by seq.
local function fits(checkpoint, list, from, n, known)
  for at = from, from + 18 * (n - 1), 18 do
    local seq = number_at(list, at)
    local digest = known[seq]
    if not digest then
      local cell = call('HGET', checkpoint, seq)
      if not cell then return false end
      digest = cell:sub(1, 16)
      known[seq] = digest
    end
    if digest ~= list:sub(at + 2, at + 17) then return false end
  end
  return true
end

-- The seqs that are stored, as a set, and the highest (-1: none).
local function seqs_of(checkpoint)
  local have, top = {}, -1
  for _, field in ipairs(call('HKEYS', checkpoint)) do
    local seq = tonumber(field)
    if seq then
      have[seq] = true
      if seq > top then top = seq end
    end
  end
  return have, top
end

local function redis_time()
  local now = call('TIME')
  return now[1] * 1000 + math.floor(now[2] / 1000)
end
