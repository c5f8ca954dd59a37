-- Texts that say how long they are ("5:order"), so that several of them in a row can be told apart whatever they hold.

local function net(text)
  return #text .. ':' .. text
end

-- Returns the text that begins at `at`, and where the next thing begins.
local function split(all, at)
  local colon = string.find(all, ':', at, true)
  local last = colon + tonumber(string.sub(all, at, colon - 1))
  return string.sub(all, colon + 1, last), last + 1
end

local function whole(number)
  return string.format('%.0f', number)
end

-- Calls a command that takes any number of arguments, as often as it takes: a call of Lua takes some thousand.
local CHUNK = 1000

local function each_chunk(command, key, list)
  local total = 0
  for first = 1, #list, CHUNK do
    total = total + (redis.call(command, key, unpack(list, first, math.min(first + CHUNK - 1, #list))) or 0)
  end
  return total
end

local function many(command, key, list)
  local found = {}
  for first = 1, #list, CHUNK do
    for _, value in ipairs(redis.call(command, key, unpack(list, first, math.min(first + CHUNK - 1, #list)))) do
      found[#found + 1] = value
    end
  end
  return found
end
