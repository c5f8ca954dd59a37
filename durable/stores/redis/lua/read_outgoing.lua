-- keys: then outgoing and outgoing_data of an inbox
-- uses: _text _call
-- arguments: how many
-- answers: id and data ("" if somebody deleted it) of each, oldest first
-- Reads what is to be relayed to other partitions.
local found = {}
for index, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '+inf', 'LIMIT', 0, take())) do
  found[index] = {id, redis.call('HGET', KEYS[2], id) or ''}
end
return found
