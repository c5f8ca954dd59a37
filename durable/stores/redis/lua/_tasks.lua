-- keys: numbers tasks states progress ready held lapsed live
-- Tasks. `tasks` has what each is, which no script looks into; `states` what is become of it:
--
--   state: deliveries (2 digits), cancelled (0 or 1), parked (0 or 1), net(inbox), net(owner), place
--   place: net(queue), net(kind), its number in this partition (16 digits), id
--
-- `ready` holds the places of the tasks that can be claimed, so those of a queue and kind stand together, oldest first.
-- `held` holds net(owner) .. place for each claim. A claim whose session is gone moves to `lapsed`, and its place is ready
-- again; the owner keeps it until another session takes it.

-- Returns {deliveries, cancelled, parked, inbox, owner, claim, place}.
local function read_state(state)
  local inbox, after_inbox = split(state, 5)
  local owner, after_owner = split(state, after_inbox)
  return {
    deliveries = tonumber(string.sub(state, 1, 2)),
    cancelled = string.sub(state, 3, 3),
    parked = string.sub(state, 4, 4),
    inbox = inbox,
    owner = owner,
    claim = string.sub(state, after_inbox),
    place = string.sub(state, after_owner),
  }
end

local function write_state(id, deliveries, cancelled, parked, inbox, owner, place)
  local state = string.format('%02d', deliveries) .. cancelled .. parked .. net(inbox) .. net(owner) .. place
  redis.call('HSET', K.states, id, state)
end

-- Returns the queue of a place and the task's id.
local function read_place(place)
  local queue, after_queue = split(place, 1)
  local _, after_kind = split(place, after_queue)
  return queue, string.sub(place, after_kind + 16)
end

-- Removes the tasks of these ids, whatever state they are in; those that are not there are passed over.
local function remove_tasks(ids)
  if #ids == 0 then
    return
  end
  local claims, places = {}, {}
  for _, state in ipairs(many('HMGET', K.states, ids)) do
    if state then
      local _, after_inbox = split(state, 5)
      if string.sub(state, after_inbox, after_inbox + 1) == '0:' then
        places[#places + 1] = string.sub(state, after_inbox + 2)
      else
        claims[#claims + 1] = string.sub(state, after_inbox)
      end
    end
  end
  if #claims > 0 and each_chunk('ZREM', K.held, claims) < #claims and each_chunk('ZREM', K.lapsed, claims) > 0 then
    for _, claim in ipairs(claims) do
      local _, after_owner = split(claim, 1)
      places[#places + 1] = string.sub(claim, after_owner)
    end
  end
  each_chunk('ZREM', K.ready, places)
  each_chunk('HDEL', K.tasks, ids)
  each_chunk('HDEL', K.states, ids)
  each_chunk('HDEL', K.progress, ids)
end

-- Adds tasks at the end of their queues. Each of `new` is {id, data, head of its state with net(owner), queue and kind, net(owner) or ""}.
local function put_tasks(new)
  if #new == 0 then
    return
  end
  local last, ids = {}, {}
  for index, task in ipairs(new) do
    last[task[1]], ids[index] = index, task[1]
  end
  remove_tasks(ids)
  local seq = redis.call('HINCRBY', K.numbers, 'seq', #new) - #new
  local data, states, ready, held, lapsed, alive = {}, {}, {}, {}, {}, {}
  for index, task in ipairs(new) do
    local id, owner = task[1], task[5]
    if last[id] == index then -- set twice in one commit: the last one counts
      local place = task[4] .. string.format('%016d', seq + index) .. id
      data[#data + 1] = id
      data[#data + 1] = task[2]
      states[#states + 1] = id
      states[#states + 1] = task[3] .. place
      local into = ready
      if owner ~= '' then
        if alive[owner] == nil then
          alive[owner] = redis.call('ZSCORE', K.live, (split(owner, 1))) and true or false
        end
        into = alive[owner] and held or lapsed
      end
      into[#into + 1] = 0
      into[#into + 1] = owner .. place
      if into == lapsed then
        ready[#ready + 1] = 0
        ready[#ready + 1] = place
      end
    end
  end
  each_chunk('HSET', K.tasks, data)
  each_chunk('HSET', K.states, states)
  each_chunk('ZADD', K.ready, ready)
  each_chunk('ZADD', K.held, held)
  each_chunk('ZADD', K.lapsed, lapsed)
end

-- Marks tasks: their holder is to be told to stop.
local function cancel_tasks(ids)
  local changed = {}
  for index, state in ipairs(many('HMGET', K.states, ids)) do
    if state then
      changed[#changed + 1] = ids[index]
      changed[#changed + 1] = string.sub(state, 1, 2) .. '1' .. string.sub(state, 4)
    end
  end
  each_chunk('HSET', K.states, changed)
end
