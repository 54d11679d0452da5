-- Opens a failed task again (DELIVERY §3, row d).
-- KEYS: checkpoint, done, cancel, claims. ARGV: redrive number, origin[, seq, parents, digest + event of TaskReopened].
-- Answers {status, cancel, done, cells, written}.
local checkpoint, redrives, seq = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[3])
local mark = ARGV[1] .. ' ' .. ARGV[2]

local function all(status, done)
  return {status, call('EXISTS', KEYS[3]), done, call('HGETALL', checkpoint), 0}
end

local function stored_from(from, written)
  local cells = {}
  for at in pairs((seqs_of(checkpoint))) do
    if at >= from then
      cells[#cells + 1] = at
      cells[#cells + 1] = call('HGET', checkpoint, at)
    end
  end
  return {OK, call('EXISTS', KEYS[3]), false, cells, written}
end

local done = call('GET', KEYS[2])
if done then
  local status, number = done:match('^1 (%a+) (%d+) ')
  if not status or tonumber(number) >= redrives or (not seq and status ~= 'failed') then return all(GONE, done) end -- RULE(redrive-done)
end

local function remember()
  call('HSET', KEYS[4], 'redrive', mark) -- RULE(redrive-mark)
  call('PEXPIRE', KEYS[4], LIFE)
end

-- It is open already. What an older run left as `done` since then (Redis had lost the mark that forbids it) must not end it.
local function again()
  if done then call('DEL', KEYS[2]) end
  remember()
  return stored_from(seq, 0)
end

local known = {}
if seq then
  local stored = call('HGET', checkpoint, seq)
  -- Another run of the same record was here first: its event differs in time only, and it counts.
  if stored and (stored == ARGV[5] or call('HGET', KEYS[4], 'redrive') == mark) then return again() end -- RULE(redrive-again)
  if stored or #ARGV[4] == 0 or not fits(checkpoint, ARGV[4], 1, #ARGV[4] / 18, known) then return all(STALE, false) end -- RULE(redrive-parents)
  -- What lies above an absent cell is there because Redis lost the cell: it belongs to nothing, and nobody can go on from it.
  for above in pairs((seqs_of(checkpoint))) do
    if above > seq then call('HDEL', checkpoint, above) end
  end
  call('HSET', checkpoint, seq, ARGV[5])
  call('PEXPIRE', checkpoint, LIFE)
  call('HDEL', KEYS[4], 'starts')
elseif call('HGET', checkpoint, 0) then -- RULE(redrive-empty): elseif false then
  return all(STALE, false)
else
  call('UNLINK', checkpoint) -- cells above a lost cell 0 belong to nothing
end
-- A wish to cancel was about the run that has ended.
call('DEL', KEYS[2], KEYS[3]) -- RULE(redrive-forgets)
remember()
return stored_from(seq or 0, seq and 1 or 0)
