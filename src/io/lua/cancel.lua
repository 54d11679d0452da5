-- Asks whoever runs the task to cancel it. KEYS: done, cancel. Answers {status, cancel, done}.
local done = call('GET', KEYS[1])
if done then return {GONE, 0, done} end
call('SET', KEYS[2], '1', 'PX', CANCEL_LIFE)
return {OK, 1}
