-- keys: numbers entries tasks documents leases reply_expiry live
-- uses: _text _call
-- arguments: none
-- answers: how many there are of inbox entries, tasks, documents, sessions, leases, records, replies; then the inboxes that had a lease
-- Counts what one partition holds.
local now = time_ms()
local leases, inboxes = 0, {}
local all = redis.call('HGETALL', K.leases)
for index = 1, #all, 2 do
  local what, inbox = string.sub(all[index], 1, 1), string.sub(all[index], 2)
  if what == 's' then
    local expires = redis.call('ZSCORE', K.live, all[index + 1])
    if expires and tonumber(expires) > now then
      leases = leases + 1
    end
  elseif what == 'e' then
    inboxes[#inboxes + 1] = inbox
  end
end
local alive = '(' .. whole(now)
return {
  redis.call('HLEN', K.entries),
  redis.call('HLEN', K.tasks),
  redis.call('HLEN', K.documents),
  redis.call('ZCOUNT', K.live, alive, '+inf'),
  leases,
  tonumber(redis.call('HGET', K.numbers, 'records') or '0'),
  redis.call('ZCOUNT', K.reply_expiry, alive, '+inf'),
  inboxes,
}
