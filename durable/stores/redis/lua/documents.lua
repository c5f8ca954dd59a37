-- keys: (those of what it uses)
-- uses: _text _call _documents
-- arguments: "by_id" or "names", the greatest and the least member (as ZREVRANGEBYLEX takes them), how many, "1" for bodies too
-- answers: a list of documents {id, head, body or false, attributes}
-- Reads a page of documents, the greatest ids first.
local names, greatest, least, limit, bodies = take() == 'names', take(), take(), take_number(), take() == '1'
local key = names and K.names or K.by_id
local found = {}
for _, member in ipairs(redis.call('ZREVRANGEBYLEX', key, greatest, least, 'LIMIT', 0, limit)) do
  local id = member
  if names then
    local _, after = split(member, 1)
    id = string.sub(member, after)
  end
  found[#found + 1] = {
    id,
    redis.call('HGET', K.documents, id),
    bodies and redis.call('HGET', K.bodies, id),
    redis.call('HGET', K.attributes, id),
  }
end
return found
