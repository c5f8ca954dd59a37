-- The documents of a commit, looked at: what they will be, or why the commit is refused.
--
-- arguments of an update: id, what it changes (a text of: o opens, c closes, s state, n note, b body, m closed_ms, a attributes), then
-- the values of s, n, b and m in this order, then for a the count of attributes, and of each the name and the value or "" to remove it.

local after, changed_order, open_ids, bodies, attribute_changes = {}, {}, {}, {}, {}

local function has(changes, letter)
  return string.find(changes, letter, 1, true) ~= nil
end

local function note_attributes(id)
  local changes = attribute_changes[id] or {}
  for _ = 1, take_number() do
    local name = take()
    changes[name] = take()
  end
  return changes
end

-- Looks at the next update; returns why it is refused, or nil. `consumed` has how many entries the commit consumes, by name.
local function look_at_update(inbox, consumed)
  local id, changes = take(), take()
  local state, note = has(changes, 's') and take(), has(changes, 'n') and take()
  local body, closed = has(changes, 'b') and take(), has(changes, 'm') and take()
  local attributes = has(changes, 'a') and note_attributes(id)
  local head = after[id]
  if not head then
    head = head_of(id)
    if not head then
      return nil
    end
    changed_order[#changed_order + 1] = id
  end
  local name = head[NAME]
  if has(changes, 'c') then
    local unread = tonumber(redis.call('HGET', K.waiting, net(head[INBOX]) .. name)) or 0
    if head[INBOX] == inbox then
      unread = unread - (consumed[name] or 0)
    end
    if unread > 0 then
      return {'unread', name, unread}
    end
  end
  head[STATE] = state or head[STATE]
  head[NOTE] = note or head[NOTE]
  head[CLOSED] = closed or (has(changes, 'o') and '' or head[CLOSED])
  head[OPEN] = ((head[OPEN] == 1 or has(changes, 'o')) and not has(changes, 'c')) and 1 or 0
  bodies[id] = body or bodies[id]
  attribute_changes[id] = attributes or attribute_changes[id]
  after[id] = head
  local holder = open_ids[name]
  if holder == nil then
    holder = redis.call('HGET', K.open, name)
  end
  if head[OPEN] == 1 and holder and holder ~= id then
    return {'taken', name}
  end
  if head[OPEN] == 1 or holder == id then
    open_ids[name] = head[OPEN] == 1 and id or false
  end
  return nil
end

local created, created_names, created_ids = {}, {}, {}

-- Looks at the next document that the commit creates; returns why it is refused, or nil.
local function look_at_created(key)
  local id, head, body, attributes = take_new()
  local entry = {take(), take(), take()}
  local name = head[NAME]
  local holder = redis.call('HGET', K.open, name)
  if created_names[name] or (holder and not after[holder]) or open_ids[name] then
    return {'taken', name}
  end
  if created_ids[id] or redis.call('HEXISTS', K.documents, id) == 1 then
    return {'id', id}
  end
  redis.call('XLEN', key) -- raises if it is a key of another type
  head[CREATED] = created_after(name, head[CREATED])
  created_names[name], created_ids[id] = true, true
  created[#created + 1] = {id = id, head = head, body = body, attributes = attributes, entry = entry, key = key}
  return nil
end

local function merge_attributes(id, changes)
  local packed = redis.call('HGET', K.attributes, id)
  local merged = packed and cmsgpack.unpack(packed) or {}
  for name, value in pairs(changes) do
    merged[name] = value ~= '' and value or nil
  end
  if next(merged) == nil then
    redis.call('HDEL', K.attributes, id)
  else
    redis.call('HSET', K.attributes, id, cmsgpack.pack(merged))
  end
end

-- Puts a document into `closed`, or takes it out.
local function list_closed(id, head)
  if head[OPEN] == 0 and head[CLOSED] ~= '' then
    redis.call('ZADD', K.closed, head[CLOSED], id)
  else
    redis.call('ZREM', K.closed, id)
  end
end

-- Returns the id of the document of the name that was created last, or nil. Each was given a later time than the one before.
local function find_latest(name)
  local prefix = net(name)
  local latest, latest_created = nil, nil
  for _, member in ipairs(redis.call('ZRANGEBYLEX', K.names, '[' .. prefix, '(' .. prefix .. '\255')) do
    local id = string.sub(member, #prefix + 1)
    local created_ms = tonumber(head_of(id)[CREATED])
    if not latest or created_ms > latest_created then
      latest, latest_created = id, created_ms
    end
  end
  return latest
end

-- Removes a document that was closed at that time, and the list of its records; one that is open, or was closed at another time, stays.
local function forget(id, closed, key)
  local head = head_of(id)
  if not head or head[OPEN] == 1 or head[CLOSED] ~= closed then
    return
  end
  local name = head[NAME]
  for _, of_ids in ipairs({K.documents, K.bodies, K.attributes}) do
    redis.call('HDEL', of_ids, id)
  end
  redis.call('ZREM', K.by_id, id)
  redis.call('ZREM', K.names, net(name) .. id)
  redis.call('ZREM', K.closed, id)
  if redis.call('HGET', K.latest, name) == id then
    local latest = find_latest(name)
    if latest then
      redis.call('HSET', K.latest, name, latest)
    else
      redis.call('HDEL', K.latest, name)
    end
  end
  local records = redis.call('LLEN', key)
  if records > 0 then
    redis.call('HINCRBY', K.numbers, 'records', -records)
    redis.call('UNLINK', key)
  end
end

-- Writes all that was looked at.
local function write_documents()
  for _, id in ipairs(changed_order) do
    local name = after[id][NAME]
    if after[id][OPEN] == 0 and redis.call('HGET', K.open, name) == id then
      redis.call('HDEL', K.open, name)
    end
    redis.call('HSET', K.documents, id, cmsgpack.pack(after[id]))
    list_closed(id, after[id])
    if bodies[id] then
      redis.call('HSET', K.bodies, id, bodies[id])
    end
    if attribute_changes[id] then
      merge_attributes(id, attribute_changes[id])
    end
  end
  for name, id in pairs(open_ids) do
    if id then
      redis.call('HSET', K.open, name, id)
    end
  end
  for _, new in ipairs(created) do
    put_new(new.id, new.head, new.body, new.attributes)
    append_entry(new.key, new.head[INBOX], new.entry[1], new.entry[2], new.entry[3])
  end
end
