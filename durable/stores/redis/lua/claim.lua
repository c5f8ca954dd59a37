-- keys: (those of what it uses)
-- uses: _text _call _tasks _sessions
-- arguments: session, how many at most, how many deliveries park a task, net(queue) .. net(kind) of each kind (count, texts)
-- answers: {"1" if there may be more, else "0"; a list with {id, data, deliveries, details or false, "1" if cancelled} of each}; nothing if the session is not alive
-- Claims the oldest ready tasks of these kinds. One that was claimed too often is parked instead.
local session, limit, deliveries_max = take(), take_number(), take_number()
if not is_alive(session, time_ms()) then
  return false
end
local routes = take_list()
local heads, claimed, looks = {}, {}, 0

local function fill(route)
  heads[route] = redis.call('ZRANGEBYLEX', K.ready, '[' .. route, '(' .. route .. ':', 'LIMIT', 0, 1)[1]
end

local function oldest()
  local best, best_number
  for route, place in pairs(heads) do
    local number = string.sub(place, #route + 1, #route + 16)
    if not best or number < best_number then
      best, best_number = route, number
    end
  end
  return best
end

for _, route in ipairs(routes) do
  fill(route)
end
local route = oldest()
while route and #claimed < limit and looks < CHUNK do
  looks = looks + 1
  local place = heads[route]
  local id = string.sub(place, #route + 17)
  local state, data = redis.call('HGET', K.states, id), redis.call('HGET', K.tasks, id)
  state = state and read_state(state)
  redis.call('ZREM', K.ready, place)
  if state and state.owner ~= '' then
    redis.call('ZREM', K.lapsed, state.claim)
  end
  if not state or not data then
    remove_tasks({id}) -- somebody deleted a key of ours: there is nothing left to run
  elseif state.deliveries >= deliveries_max then
    write_state(id, state.deliveries, state.cancelled, '1', state.inbox, '', place)
  else
    write_state(id, state.deliveries + 1, state.cancelled, '0', state.inbox, session, place)
    redis.call('ZADD', K.held, 0, net(session) .. place)
    claimed[#claimed + 1] = {
      id,
      data,
      state.deliveries + 1,
      redis.call('HGET', K.progress, id),
      state.cancelled,
    }
  end
  fill(route)
  route = oldest()
end
return {route and '1' or '0', claimed}
