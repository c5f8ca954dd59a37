-- keys: then dues and due_data of an inbox
-- uses: _text _call
-- arguments: the latest time, how many
-- answers: key, time, data ("" if somebody deleted it) of each, earliest first (ties by key)
-- Reads the dues of an inbox.
local dues = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', take(), 'WITHSCORES', 'LIMIT', 0, take())
local found = {}
for index = 1, #dues, 2 do
  found[#found + 1] = {dues[index], dues[index + 1], redis.call('HGET', KEYS[2], dues[index]) or ''}
end
return found
