-- keys: leases
-- uses: _text _call
-- arguments: inbox, session, epoch, topic
-- answers: 1 if it was given up, else 0
-- Gives up a lease, if it is the current one.
local inbox, session, epoch, topic = take(), take(), take(), take()
local lease = redis.call('HMGET', K.leases, 'e' .. inbox, 's' .. inbox)
if lease[1] ~= epoch or lease[2] ~= session then
  return 0
end
redis.call('HDEL', K.leases, 's' .. inbox)
publish(topic)
return 1
