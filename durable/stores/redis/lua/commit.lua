-- keys: leases replies reply_expiry (and those of what it uses) then of the lease's inbox: the stream, dues, due_data, outgoing, outgoing_data;
-- then the list of records of each append; then the stream of the inbox of each document that is created;
-- then the list of records of each document that is forgotten
-- uses: _text _call _entries _tasks _documents _commit_documents
-- arguments: inbox, session, epoch, id of the commit, "=" and the id of the one that it follows or "", the newest entry that it consumes
-- (number and id) or twice ""; then of each kind a count and so many of: appends (expected, count, records),
-- consumed (seq), documents (see `look_at_update`), created (see `take_new`; id, name, data of its entry), tasks_removed (id), dues_removed (key),
-- relayed (id), tasks (see `put_tasks`), tasks_cancelled (id), dues (key, time, data), outgoing (id, data), replies (id, ttl in ms, data),
-- forgotten (id, closed_ms), topics
-- answers: {"applied"}; {"stale"}, {"lost commit", the last one}, {"lost entry"}, {"position", which append, where its stream is}, {"unread", name, count}, {"taken", name} or {"id", id}: refused
-- One commit of the owner of an inbox, applied whole or not at all: everything is looked at before anything is written. The last commit
-- under a lease is remembered by its id, and a repeat of it is answered "applied" without being applied again.
local inbox, session, epoch, commit_id = take(), take(), take(), take()
local lease = redis.call('HMGET', K.leases, 'e' .. inbox, 's' .. inbox, 'c' .. inbox)
if lease[1] ~= epoch or lease[2] ~= session then
  return {'stale'}
end
if lease[3] == commit_id then
  -- A repeat writes too, if only the same again: WAIT waits for the last write of its connection, which may be a new one.
  redis.call('HSET', K.leases, 'c' .. inbox, commit_id)
  return {'applied'}
end
local follows, newest_seq, newest_id = take(), take(), take()
if follows ~= '' and string.sub(follows, 2) ~= (lease[3] or '') then
  return {'lost commit', lease[3] or ''}
end
local stream, dues, due_data, outgoing, outgoing_data = unpack(KEYS, K.rest + 1, K.rest + 5)

-- --- look at everything

if newest_seq ~= '' then
  local entry = find_entries(stream, {newest_seq})[1]
  if not entry or entry[2] ~= newest_id then
    return {'lost entry'}
  end
end

local appends, heads, records = {}, {}, 0
for index = 1, take_number() do
  local key, expected, count = KEYS[K.rest + 5 + index], take_number(), take_number()
  local head = heads[key] or redis.call('LLEN', key) -- no record is ever removed alone, so its length is its last number
  if head ~= expected then
    return {'position', index, head}
  end
  heads[key] = head + count
  appends[index] = {key, at, count}
  at, records = at + count, records + count
end
local entries, consumed = find_entries(stream, take_list()), {}
for _, entry in ipairs(entries) do
  consumed[entry[3]] = (consumed[entry[3]] or 0) + 1
end
for _ = 1, take_number() do
  local refusal = look_at_update(inbox, consumed)
  if refusal then
    return refusal
  end
end
local new = take_number()
for index = 1, new do
  local refusal = look_at_created(KEYS[K.rest + 5 + #appends + index])
  if refusal then
    return refusal
  end
end
local first_forgotten = K.rest + 5 + #appends + new
for index = first_forgotten + 1, #KEYS do
  redis.call('LLEN', KEYS[index]) -- raises if it is a key of another type
end

-- --- write

redis.call('HSET', K.leases, 'c' .. inbox, commit_id)
remove_entries(stream, inbox, entries)
remove_tasks(take_list())
local removed = take_list()
each_chunk('ZREM', dues, removed)
each_chunk('HDEL', due_data, removed)
removed = take_list()
each_chunk('ZREM', outgoing, removed)
each_chunk('HDEL', outgoing_data, removed)
for _, append in ipairs(appends) do
  local first, last = append[2] + 1, append[2] + append[3]
  for start = first, last, CHUNK do
    redis.call('RPUSH', append[1], unpack(ARGV, start, math.min(start + CHUNK - 1, last)))
  end
end
if records > 0 then
  redis.call('HINCRBY', K.numbers, 'records', records)
end
write_documents()
local tasks = {}
for index = 1, take_number() do
  tasks[index] = {take(), take(), take(), take(), take()}
end
put_tasks(tasks)
cancel_tasks(take_list())
for _ = 1, take_number() do
  local key = take()
  redis.call('ZADD', dues, take(), key)
  redis.call('HSET', due_data, key, take())
end
for _ = 1, take_number() do
  local id = take()
  redis.call('ZADD', outgoing, redis.call('HINCRBY', K.numbers, 'seq', 1), id)
  redis.call('HSET', outgoing_data, id, take())
end
local replies = take_number()
if replies > 0 then
  local now = time_ms()
  local old = redis.call('ZRANGEBYSCORE', K.reply_expiry, '-inf', now, 'LIMIT', 0, CHUNK)
  each_chunk('HDEL', K.replies, old)
  each_chunk('ZREM', K.reply_expiry, old)
  for _ = 1, replies do
    local id = take()
    redis.call('ZADD', K.reply_expiry, now + take_number(), id)
    redis.call('HSET', K.replies, id, take())
  end
end
for index = 1, take_number() do
  local id = take()
  forget(id, take(), KEYS[first_forgotten + index])
end
for _, topic in ipairs(take_list()) do
  publish(topic)
end
return {'applied'}
