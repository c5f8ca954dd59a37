-- keys: leases live expired
-- Sessions as a partition knows them: `live` has the expiry of each; once its claims are in their queues again, `expired` has it.
-- `leases` has for each inbox the epoch ("e" .. inbox), the session ("s" .. inbox) and the last commit ("c" .. inbox), and for each
-- session how long it lives without a renewal ("t" .. session).
--
-- Each function looks at so many claims at most, and returns whether there may be more; its caller asks again.
local CLAIMS_MAX = 1000

local function is_alive(session, now)
  local expires = redis.call('ZSCORE', K.live, session)
  return expires and tonumber(expires) > now
end

local function claims_of(key, session)
  local prefix = net(session)
  return redis.call('ZRANGEBYLEX', key, '[' .. prefix, '(' .. prefix .. '\255', 'LIMIT', 0, CLAIMS_MAX), #prefix
end

-- Puts the claims of expired sessions back into their queues; adds those queues to `queues`.
local function reap(now, queues)
  for _, session in ipairs(redis.call('ZRANGEBYSCORE', K.live, '-inf', now, 'LIMIT', 0, 10)) do
    local claims, skip = claims_of(K.held, session)
    local moved, places = {}, {}
    for _, claim in ipairs(claims) do
      local place = string.sub(claim, skip + 1)
      moved[#moved + 1] = 0
      moved[#moved + 1] = claim
      places[#places + 1] = 0
      places[#places + 1] = place
      queues[(split(place, 1))] = true
    end
    each_chunk('ZADD', K.lapsed, moved)
    each_chunk('ZADD', K.ready, places)
    each_chunk('ZREM', K.held, claims)
    if #claims == CLAIMS_MAX then
      return true
    end
    local expires = redis.call('ZSCORE', K.live, session)
    redis.call('ZREM', K.live, session)
    redis.call('ZADD', K.expired, expires, session)
  end
  return false
end

-- Brings back expiries that lie further ahead than anybody sets them: the server's clock was set back. Else the leases of a
-- session that is dead would be free only when the clock is again where it was.
local function trim_expiries(now, ttl)
  local ahead = redis.call('ZRANGEBYSCORE', K.live, '(' .. whole(now + ttl), '+inf', 'WITHSCORES')
  for index = 1, #ahead, 2 do
    local theirs = tonumber(redis.call('HGET', K.leases, 't' .. ahead[index]) or ttl)
    if tonumber(ahead[index + 1]) > now + theirs then
      redis.call('ZADD', K.live, whole(now + theirs), ahead[index])
    end
  end
end

-- Makes the session live for `ttl` from now; what it held and nobody took, it holds again.
local function revive(session, now, ttl)
  trim_expiries(now, ttl)
  redis.call('ZREM', K.expired, session)
  redis.call('ZADD', K.live, whole(now + ttl), session)
  redis.call('HSET', K.leases, 't' .. session, ttl)
  local claims, skip = claims_of(K.lapsed, session)
  local moved, places = {}, {}
  for _, claim in ipairs(claims) do
    moved[#moved + 1] = 0
    moved[#moved + 1] = claim
    places[#places + 1] = string.sub(claim, skip + 1)
  end
  each_chunk('ZADD', K.held, moved)
  each_chunk('ZREM', K.ready, places)
  each_chunk('ZREM', K.lapsed, claims)
  return #claims == CLAIMS_MAX
end

-- Forgets the session and frees what it holds; adds the inboxes of its leases and the queues of its claims.
local function free(session, inboxes, queues)
  local all = redis.call('HGETALL', K.leases)
  for index = 1, #all, 2 do
    if string.sub(all[index], 1, 1) == 's' and all[index + 1] == session then
      redis.call('HDEL', K.leases, all[index])
      inboxes[string.sub(all[index], 2)] = true
    end
  end
  for _, key in ipairs({K.held, K.lapsed}) do
    local claims, skip = claims_of(key, session)
    local places = {}
    for _, claim in ipairs(claims) do
      local place = string.sub(claim, skip + 1)
      local queue, id = read_place(place)
      local state = redis.call('HGET', K.states, id)
      if state then
        state = read_state(state)
        write_state(id, state.deliveries, state.cancelled, state.parked, state.inbox, '', place)
      end
      places[#places + 1] = 0
      places[#places + 1] = place
      queues[queue] = true
    end
    each_chunk('ZADD', K.ready, places)
    each_chunk('ZREM', key, claims)
    if #claims == CLAIMS_MAX then
      return true
    end
  end
  redis.call('ZREM', K.live, session)
  redis.call('ZREM', K.expired, session)
  redis.call('HDEL', K.leases, 't' .. session)
  return false
end

-- Publishes what `reap` and `free` found, and returns the topics. `partition` is its number as text.
local function tell(partition, inboxes, queues)
  local topics = {}
  for inbox in pairs(inboxes) do
    topics[#topics + 1] = 'inbox/' .. partition .. '/' .. inbox
  end
  for queue in pairs(queues) do
    topics[#topics + 1] = 'tasks/' .. queue
  end
  for _, topic in ipairs(topics) do
    publish(topic)
  end
  return topics
end
