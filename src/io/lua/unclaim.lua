-- Gives a claim back, if it is ours. KEYS: claims. ARGV: seq, nonce. Answers {status}.
local claim = call('HGET', KEYS[1], ARGV[1])
if claim and claim:match('^(%S+) ') == ARGV[2] then call('HDEL', KEYS[1], ARGV[1]) end -- RULE(unclaim-own): call('HDEL', KEYS[1], ARGV[1])
return {OK}
