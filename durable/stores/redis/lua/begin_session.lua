-- keys: sessions (and those of what it uses)
-- uses: _text _call _tasks _sessions
-- arguments: partition, id, ttl in ms, how long an expired session is kept in ms, "1" and what it says of itself (only where sessions are listed) or "0"
-- answers: {"1" if it must be called again, the time, topics}
-- Begins or replaces a session in one partition. Sessions that expired long ago are forgotten on the way.
local partition, id, ttl, kept = take(), take(), take_number(), take_number()
local now = time_ms()
local inboxes, queues, more = {}, {}, false
for _, key in ipairs({K.live, K.expired}) do
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', key, '-inf', now - kept, 'LIMIT', 0, 100)) do
    more = free(old, inboxes, queues) or more
    redis.call('HDEL', K.sessions, old)
  end
end
if take() == '1' then
  redis.call('HSET', K.sessions, id, take())
end
more = revive(id, now, ttl) or more
return {more and '1' or '0', whole(now), tell(partition, inboxes, queues)}
