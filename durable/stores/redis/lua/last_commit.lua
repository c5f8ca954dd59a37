-- keys: leases
-- uses: _text _call
-- arguments: inbox, session, epoch
-- answers: the id of the last commit under the lease, "" if there was none; nothing if the lease is not the current one
-- Reads the last commit of a lease.
local inbox, session, epoch = take(), take(), take()
local lease = redis.call('HMGET', K.leases, 'e' .. inbox, 's' .. inbox, 'c' .. inbox)
if lease[1] ~= epoch or lease[2] ~= session then
  return false
end
return lease[3] or ''
