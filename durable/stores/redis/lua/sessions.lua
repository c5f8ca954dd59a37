-- keys: sessions live
-- uses: _text _call
-- arguments: none
-- answers: id, expiry in ms and what it says of itself, of each live session
-- Lists the live sessions.
local found = {}
local live = redis.call('ZRANGEBYSCORE', K.live, '(' .. whole(time_ms()), '+inf', 'WITHSCORES')
for index = 1, #live, 2 do
  found[#found + 1] = {live[index], live[index + 1], redis.call('HGET', K.sessions, live[index])}
end
return found
