-- keys: (those of what it uses)
-- uses: _text _call _tasks _sessions
-- arguments: partition, session, ids (count, ids)
-- answers: the topics
-- Hands claims back: the tasks are free at once, at their old place, and this delivery does not count. Claims of others are passed over.
local partition, session, ids = take(), take(), take_list()
local queues, seen = {}, {}
for index, state in ipairs(many('HMGET', K.states, ids)) do
  local id = ids[index]
  state = state and read_state(state)
  if state and state.owner == session and not seen[id] then
    seen[id] = true
    redis.call('ZREM', K.held, state.claim)
    redis.call('ZREM', K.lapsed, state.claim)
    redis.call('ZADD', K.ready, 0, state.place)
    write_state(id, state.deliveries - 1, state.cancelled, '0', state.inbox, '', state.place)
    queues[(split(state.place, 1))] = true
  end
end
return tell(partition, {}, queues)
