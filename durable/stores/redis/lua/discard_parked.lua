-- keys: (those of what it uses) then the stream of the task's inbox
-- uses: _text _call _entries _tasks
-- arguments: id of the task, its inbox, the entry (id, name, data), topic
-- answers: 1 if it was discarded, else 0
-- Removes a parked task and appends its entry, in one.
local id, inbox = take(), take()
local state = redis.call('HGET', K.states, id)
state = state and read_state(state)
if not state or state.parked ~= '1' or state.inbox ~= inbox then
  return 0
end
redis.call('XLEN', KEYS[K.rest + 1]) -- raises if it is a key of another type
remove_tasks({id})
append_entry(KEYS[K.rest + 1], inbox, take(), take(), take())
publish(take())
return 1
