-- What every script is told first: ARGV[1] the prefix of the channels, ARGV[2] who asks, ARGV[3] the time in ms or "".

-- Returns the time in ms: the one that was handed in (tests move it), else the server's.
local function time_ms()
  if ARGV[3] ~= '' then
    return tonumber(ARGV[3])
  end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Tells everyone who watches `topic`; who asks is told by the answer.
local function publish(topic)
  redis.call('PUBLISH', ARGV[1] .. topic, ARGV[2])
end

local at = 3

-- Returns the next argument.
local function take()
  at = at + 1
  return ARGV[at]
end

local function take_number()
  at = at + 1
  return tonumber(ARGV[at])
end

-- Returns as many arguments as the next one says.
local function take_list()
  local list = {}
  for index = 1, take_number() do
    list[index] = take()
  end
  return list
end
