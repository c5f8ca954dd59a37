-- keys: (those of what it uses)
-- uses: _text _call _tasks _sessions
-- arguments: partition, session, how many at most, net(queue) .. net(kind) of each kind (count, texts)
-- answers: {how many tasks the session could claim now, "1" if it must be called again, topics}; nothing if the session is not alive
-- Looks for work in one partition. The claims of expired sessions are put back into their queues on the way.
local partition, session, limit = take(), take(), take_number()
local now = time_ms()
if not is_alive(session, now) then
  return false
end
local queues = {}
local more = reap(now, queues)
local count = 0
for _, route in ipairs(take_list()) do
  count = count + redis.call('ZLEXCOUNT', K.ready, '[' .. route, '(' .. route .. ':')
  if count >= limit then
    break
  end
end
return {math.min(count, limit), more and '1' or '0', tell(partition, {}, queues)}
