-- keys: (those of what it uses)
-- uses: _text _call _tasks _sessions
-- arguments: partition, ids (count, ids)
-- answers: {how many, topics}
-- Puts parked tasks back into their queues, at their old places, with no deliveries counted.
local partition, ids = take(), take_list()
local queues, count = {}, 0
for _, id in ipairs(ids) do
  local state = redis.call('HGET', K.states, id)
  state = state and read_state(state)
  if state and state.parked == '1' then
    write_state(id, 0, state.cancelled, '0', state.inbox, '', state.place)
    redis.call('ZADD', K.ready, 0, state.place)
    queues[(split(state.place, 1))] = true
    count = count + 1
  end
end
return {count, tell(partition, {}, queues)}
