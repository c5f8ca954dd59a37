-- keys: then a list of records
-- uses: _text _call
-- arguments: none
-- answers: how many there are, and the last one; nothing if there is none
-- Reads the last record of a stream.
local count = redis.call('LLEN', KEYS[1])
return count > 0 and {count, redis.call('LINDEX', KEYS[1], -1)}
