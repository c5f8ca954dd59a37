-- keys: (those of what it uses)
-- uses: _text _call _documents
-- arguments: "id" or "name", and which
-- answers: the document {id, head, body, attributes}, or nothing
-- Reads the document of an id, or of a name the open one, else the latest.
local id = take() == 'id' and take() or current_id(take())
if id and redis.call('HEXISTS', K.documents, id) == 1 then
  return whole_document(id)
end
return false
