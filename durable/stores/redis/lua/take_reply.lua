-- keys: replies reply_expiry
-- uses: _text _call
-- arguments: id
-- answers: the reply, or nothing
-- Takes a reply: whoever asks next does not get it.
local id = take()
local expires = redis.call('ZSCORE', K.reply_expiry, id)
if not expires then
  return false
end
local data = redis.call('HGET', K.replies, id)
redis.call('HDEL', K.replies, id)
redis.call('ZREM', K.reply_expiry, id)
return tonumber(expires) > time_ms() and data
