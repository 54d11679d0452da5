-- What the scripts below share; the worker puts this text before each of them.
-- A script answers {status, …}; the numbers are those of enum cells_status.
-- A cell is the field <seq> of the checkpoint: 16 bytes of digest, then the event. A list of parents is, for each, 2 bytes of seq
-- (big endian) and 16 of digest.
-- A value costs its length each time it comes into Lua, which hashes every byte; a command costs 1 us. So values are fetched where needed only.
local call = redis.call
local OK, GONE, STALE, HELD, ANSWERED = 0, 1, 2, 3, 4

-- Is each parent stored with the digest named? `known` remembers digests by seq, so that a value is fetched once.
local function fits(checkpoint, parents, known)
  for at = 1, #parents, 18 do
    local high, low = parents:byte(at, at + 1)
    local seq = high * 256 + low
    local digest = known[seq]
    if not digest then
      local cell = call('HGET', checkpoint, seq)
      if not cell then return false end
      digest = cell:sub(1, 16)
      known[seq] = digest
    end
    if digest ~= parents:sub(at + 2, at + 17) then return false end
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
