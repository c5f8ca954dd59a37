-- keys: numbers entries waiting
-- Entries of inboxes, each in a stream under its number and the time in ms at which it came. `entries` has the number of each unread entry by its id; `waiting` how many are unread by inbox and name.

-- Appends an entry to the stream `key` of `inbox`; returns false if its id is unread in this partition: then nothing is written.
local function append_entry(key, inbox, id, name, data)
  local unread = redis.call('HGET', K.entries, id)
  if unread then
    redis.call('HSET', K.entries, id, unread) -- see commit.lua: a repeat writes too
    return false
  end
  local seq, fields = redis.call('HINCRBY', K.numbers, 'seq', 1), {'i', id, 'n', name, 'd', data}
  local added = redis.pcall('XADD', key, whole(seq) .. '-' .. whole(time_ms()), unpack(fields))
  if type(added) == 'table' then -- somebody deleted `numbers`: go on from where the stream is
    local told = redis.call('XINFO', 'STREAM', key)
    for index = 1, #told, 2 do
      seq = told[index] == 'last-generated-id' and tonumber(string.match(told[index + 1], '^%d+')) + 1 or seq
    end
    redis.call('HSET', K.numbers, 'seq', whole(seq))
    redis.call('XADD', key, whole(seq) .. '-' .. whole(time_ms()), unpack(fields))
  end
  redis.call('HSET', K.entries, id, whole(seq))
  redis.call('HINCRBY', K.waiting, net(inbox) .. name, 1)
  return true
end

-- Returns the entries of the stream `key` that have one of these numbers, as {id in the stream, id, name}, each once.
local function find_entries(key, seqs)
  local found, seen = {}, {}
  for _, seq in ipairs(seqs) do
    if not seen[seq] then
      seen[seq] = true
      local entry = redis.call('XRANGE', key, seq, seq)[1] -- without a time: of any time
      if entry then
        found[#found + 1] = {entry[1], entry[2][2], entry[2][4]}
      end
    end
  end
  return found
end

-- Removes entries that `find_entries` found.
local function remove_entries(key, inbox, found)
  if #found == 0 then
    return
  end
  local stream_ids, ids, counts = {}, {}, {}
  for index, entry in ipairs(found) do
    stream_ids[index], ids[index] = entry[1], entry[2]
    counts[entry[3]] = (counts[entry[3]] or 0) + 1
  end
  each_chunk('XDEL', key, stream_ids)
  each_chunk('HDEL', K.entries, ids)
  for name, count in pairs(counts) do
    local field = net(inbox) .. name
    if redis.call('HINCRBY', K.waiting, field, -count) <= 0 then
      redis.call('HDEL', K.waiting, field)
    end
  end
end
