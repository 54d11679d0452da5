-- The task was given up alive: its starts begin again. Or only one start did not count, for nothing was begun after it.
-- KEYS: claims. ARGV: which process loaded it, if only that start shall not count. Answers {status}.
if not ARGV[1] then
  call('HDEL', KEYS[1], 'starts') -- RULE(starts-release)
  return {OK}
end
local count, who = (call('HGET', KEYS[1], 'starts') or ''):match('^(%d+) (%S+)$')
if who == ARGV[1] then who = '-' end -- asked again it is a start again
if count and tonumber(count) > 1 then
  call('HSET', KEYS[1], 'starts', string.format('%d %s', count - 1, who)) -- RULE(starts-waiting)
else
  call('HDEL', KEYS[1], 'starts') -- RULE(starts-waiting)
end
return {OK}
