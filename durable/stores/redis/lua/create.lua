-- keys: (those of what it uses) then the stream of the document's inbox
-- uses: _text _call _entries _documents
-- arguments: the document (see `take_new`), "1" and the id of the expected latest or "0" and "", the entries (count; id, name, data of each)
-- answers: {"made" or "known", the document}; {"open", id}, {"id"} or {"latest", id or ""}: refused
-- Adds an open document with its first entries. Everything is looked at before anything is written. A repeat by the same request
-- finds the document, so a lost answer costs nothing.
local id, head, body, attributes = take_new()
local asks, expected = take() == '1', take()
local name = head[NAME]
local open, latest = redis.call('HGET', K.open, name), redis.call('HGET', K.latest, name)
for _, known in ipairs({open or latest or '', latest or ''}) do
  local found = known ~= '' and head_of(known)
  if found and found[REQUEST] == head[REQUEST] then
    redis.call('HSET', K.latest, name, latest) -- see commit.lua: a repeat writes too
    return {'known', whole_document(known)}
  end
end
if open then
  return {'open', open}
end
if redis.call('HEXISTS', K.documents, id) == 1 then
  return {'id'}
end
if asks and (latest or '') ~= expected then
  return {'latest', latest or ''}
end
local key = KEYS[K.rest + 1]
redis.call('XLEN', key) -- raises if it is a key of another type
head[CREATED] = created_after(name, head[CREATED])
put_new(id, head, body, attributes)
local count = take_number()
for _ = 1, count do
  append_entry(key, head[INBOX], take(), take(), take())
end
if count > 0 then
  publish(take())
end
return {'made', whole_document(id)}
