-- keys: (those of what it uses)
-- uses: _text _call _documents
-- arguments: the time before which they ended, the time and the id of the last one seen, how many
-- answers: a list of documents (see `whole_document`)
-- Reads closed documents in the order of their ends, those of one time by id.
local before, after, after_id, limit = take_number(), take(), take(), take_number()

-- Whether one text comes after another, byte by byte as in a sorted set: `<` goes by the locale of the server.
local function comes_after(text, other)
  for index = 1, math.min(#text, #other) do
    local mine, its = string.byte(text, index), string.byte(other, index)
    if mine ~= its then
      return mine > its
    end
  end
  return #text > #other
end

-- The first one after the last one seen, which need not be there any more, is looked for among those of its time by halving.
local low = redis.call('ZCOUNT', K.closed, '-inf', '(' .. after)
local high = low + redis.call('ZCOUNT', K.closed, after, after)
while low < high do
  local middle = math.floor((low + high) / 2)
  if comes_after(redis.call('ZRANGE', K.closed, middle, middle)[1], after_id) then
    high = middle
  else
    low = middle + 1
  end
end
local page, found = redis.call('ZRANGE', K.closed, low, low + limit - 1, 'WITHSCORES'), {}
for index = 1, #page, 2 do
  if tonumber(page[index + 1]) >= before then
    break
  end
  found[#found + 1] = whole_document(page[index])
end
return found
