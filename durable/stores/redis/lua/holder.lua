-- keys: (those of what it uses)
-- uses: _text _call _tasks _sessions
-- arguments: inbox
-- answers: the live session that holds the lease, or nothing
-- Says who holds a lease.
local session = redis.call('HGET', K.leases, 's' .. take())
return session and is_alive(session, time_ms()) and session
