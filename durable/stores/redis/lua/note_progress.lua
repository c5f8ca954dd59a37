-- keys: (those of what it uses)
-- uses: _text _call _tasks
-- arguments: session, id of the task, details
-- answers: 1, or 0 if the session does not hold the claim
-- Keeps details with a claimed task, for its next holder.
local session, id = take(), take()
local state = redis.call('HGET', K.states, id)
if not state or read_state(state).owner ~= session then
  return 0
end
redis.call('HSET', K.progress, id, take())
return 1
