-- keys: (those of what it uses) then the stream of the task's inbox
-- uses: _text _call _entries _tasks
-- arguments: session, id of the task, its inbox, the entry (id, name, data), topic
-- answers: {"done"}; {"inbox", the right one}: ask again with it; {"lost"}: refused
-- Removes a task that the session holds and appends its entry, in one.
local session, id, inbox = take(), take(), take()
local state = redis.call('HGET', K.states, id)
state = state and read_state(state)
if not state or state.owner ~= session then
  return {'lost'}
end
if state.inbox ~= inbox then
  return {'inbox', state.inbox}
end
redis.call('XLEN', KEYS[K.rest + 1]) -- raises if it is a key of another type
remove_tasks({id})
append_entry(KEYS[K.rest + 1], inbox, take(), take(), take())
publish(take())
return {'done'}
