-- The task was given up alive: its starts begin again. KEYS: claims. Answers {status}.
call('HDEL', KEYS[1], 'starts') -- RULE(starts-release)
return {OK}
