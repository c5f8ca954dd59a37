-- keys: (those of what it uses)
-- uses: _text _call _tasks _sessions
-- arguments: session, inbox
-- answers: the new epoch, or nothing
-- Acquires the lease of an inbox if its holder is gone (or is this session: the epoch grows all the same). The epoch is never forgotten.
local session, inbox = take(), take()
local now = time_ms()
if not is_alive(session, now) then
  return false
end
local holder = redis.call('HGET', K.leases, 's' .. inbox)
if holder and holder ~= session and is_alive(holder, now) then
  return false
end
local epoch = redis.call('HINCRBY', K.leases, 'e' .. inbox, 1)
redis.call('HSET', K.leases, 's' .. inbox, session)
redis.call('HDEL', K.leases, 'c' .. inbox)
return epoch
