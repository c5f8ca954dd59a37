-- keys: (none) then one that nothing else uses
-- uses: _text _call
-- arguments: none
-- answers: the commands that the user may not run on the keys and channels of the namespace, in order; after an "UNLINK", no others
-- Tries each command that scripts use. What it writes it removes before it ends: nobody sees it, and nothing stays.
local key = KEYS[K.rest + 1]
local refused = {}

-- Returns whether the ACL lets the user run it; another error is none of the user's.
local function may(command, ...)
  local answer = redis.pcall(command, ...)
  local text = type(answer) == 'table' and answer.err or ''
  for _, sign in ipairs({'NOPERM', 'ACL failure', 'The user executing the script'}) do
    if string.find(text, sign, 1, true) then
      refused[#refused + 1] = command
      return false
    end
  end
  return true
end

if not may('UNLINK', key) then -- what could not be removed again must not be written
  return refused
end
for _, of_type in ipairs({
  {
    {'HSET', 'a', '1'}, {'HINCRBY', 'a', '1'}, {'HGET', 'a'}, {'HMGET', 'a'}, {'HGETALL'}, {'HEXISTS', 'a'}, {'HLEN'},
    {'HSCAN', '0'}, {'HDEL', 'b'},
  },
  {
    {'ZADD', '0', 'a'}, {'ZSCORE', 'a'}, {'ZCARD'}, {'ZCOUNT', '0', '1'}, {'ZLEXCOUNT', '-', '+'}, {'ZRANGE', '0', '1'},
    {'ZRANGEBYLEX', '-', '+'}, {'ZREVRANGEBYLEX', '+', '-'}, {'ZRANGEBYSCORE', '0', '1'}, {'ZREM', 'b'},
  },
  {{'RPUSH', 'a'}, {'LINDEX', '0'}, {'LLEN'}, {'LRANGE', '0', '1'}},
  {{'XADD', '1-0', 'a', '1'}, {'XLEN'}, {'XRANGE', '-', '+'}, {'XDEL', '1-0'}},
}) do
  for _, call in ipairs(of_type) do
    may(call[1], key, unpack(call, 2))
  end
  may('UNLINK', key)
end
may('XINFO', 'STREAM', key) -- it is not there: that is none of the user's errors
may('TIME')
may('PUBLISH', ARGV[1] .. 'access', ARGV[2])
return refused
