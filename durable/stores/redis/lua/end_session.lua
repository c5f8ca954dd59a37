-- keys: sessions (and those of what it uses)
-- uses: _text _call _tasks _sessions
-- arguments: partition, id
-- answers: {"1" if it must be called again, topics}
-- Ends a session in one partition: its leases and claims are free at once.
local partition, id = take(), take()
local inboxes, queues = {}, {}
local more = free(id, inboxes, queues)
redis.call('HDEL', K.sessions, id)
return {more and '1' or '0', tell(partition, inboxes, queues)}
