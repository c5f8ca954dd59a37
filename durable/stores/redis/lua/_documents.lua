-- keys: documents bodies attributes open latest by_id names closed
-- Documents. `documents` has the head of each, a list; `bodies` and `attributes` the rest of it, which no script looks into but
-- for the names of attributes. `open` has the id of the open document of a name, `latest` that of the last one created.
-- `closed` has the ids of closed documents by the time of their end, as far as they have one.
local NAME, INBOX, REQUEST, KIND, STATE, CREATED, OPEN, NOTE, CLOSED = 1, 2, 3, 4, 5, 6, 7, 8, 9

local function head_of(id)
  local packed = id and redis.call('HGET', K.documents, id)
  return packed and cmsgpack.unpack(packed) or nil
end

-- Returns a document as every script answers with it.
local function whole_document(id)
  return {
    id,
    redis.call('HGET', K.documents, id),
    redis.call('HGET', K.bodies, id),
    redis.call('HGET', K.attributes, id),
  }
end

-- Returns the id of the open document of the name, else of the latest, or false.
local function current_id(name)
  return redis.call('HGET', K.open, name) or redis.call('HGET', K.latest, name)
end

-- Returns when a document of the name is created, so that it is later than the latest one.
local function created_after(name, created)
  local latest = head_of(redis.call('HGET', K.latest, name))
  if latest and tonumber(latest[CREATED]) >= tonumber(created) then
    return whole(tonumber(latest[CREATED]) + 1)
  end
  return created
end

-- Adds an open document.
local function put_new(id, head, body, attributes)
  redis.call('HSET', K.documents, id, cmsgpack.pack(head))
  redis.call('HSET', K.bodies, id, body)
  if attributes ~= '' then
    redis.call('HSET', K.attributes, id, attributes)
  end
  redis.call('HSET', K.open, head[NAME], id)
  redis.call('HSET', K.latest, head[NAME], id)
  redis.call('ZADD', K.by_id, 0, id)
  redis.call('ZADD', K.names, 0, net(head[NAME]) .. id)
end

-- Takes a new document from the arguments: id, name, inbox, request, kind, state, created, note, closed, body, attributes.
local function take_new()
  local id = take()
  local head = {take(), take(), take(), take(), take(), take(), 1, take(), take()}
  return id, head, take(), take()
end
