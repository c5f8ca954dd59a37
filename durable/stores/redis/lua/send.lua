-- keys: (those of what it uses) then the stream of the inbox that the document is thought to have
-- uses: _text _call _entries _documents
-- arguments: the id of the document or "", "1" if a closed one will do, the inbox of that stream, the entry (id, name, data), its topic
-- answers: {"sent", the document}; {"inbox", the right one}: ask again with it; {"none"} or {"closed", id}: refused
-- Appends an entry to the inbox of a document, if it is open (or that does not matter). An entry whose id is unread is dropped.
local id, closed_too, inbox = take(), take() == '1', take()
local entry_id, name, data, topic = take(), take(), take(), take()
if id == '' then
  id = current_id(name)
end
local head = head_of(id)
if not head or head[NAME] ~= name then
  return {'none'}
end
if head[OPEN] == 0 and not closed_too then
  return {'closed', id}
end
if head[INBOX] ~= inbox then
  return {'inbox', head[INBOX]}
end
append_entry(KEYS[K.rest + 1], inbox, entry_id, name, data)
publish(topic)
return {'sent', whole_document(id)}
