-- keys: (those of what it uses)
-- uses: _text _call _tasks _sessions
-- arguments: session, ttl in ms, leases (count; inbox and epoch of each), ids of tasks (count, ids)
-- answers: {"gone", time} or {"renewed", time, "1" if it had expired, "1" if it must be called again, lost leases (which), lost tasks (which), cancelled (which)}
-- Prolongs a session in one partition, and says what of this it holds no longer. Takes nothing back; a session that is gone stays so.
local session, ttl = take(), take_number()
local now = time_ms()
local expires = redis.call('ZSCORE', K.live, session) or redis.call('ZSCORE', K.expired, session)
if not expires then
  return {'gone', whole(now)}
end
local more = revive(session, now, ttl)
local leases, tasks, cancelled = {}, {}, {}
for index = 1, take_number() do
  local inbox, epoch = take(), take()
  local lease = redis.call('HMGET', K.leases, 'e' .. inbox, 's' .. inbox)
  if lease[1] ~= epoch or lease[2] ~= session then
    leases[#leases + 1] = index
  end
end
for index, state in ipairs(many('HMGET', K.states, take_list())) do
  state = state and read_state(state)
  if not state or state.owner ~= session then
    tasks[#tasks + 1] = index
  elseif state.cancelled == '1' then
    cancelled[#cancelled + 1] = index
  end
end
local late = tonumber(expires) <= now
return {'renewed', whole(now), late and '1' or '0', more and '1' or '0', leases, tasks, cancelled}
