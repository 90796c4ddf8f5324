-- What each method of a ValkeyLog does to a stream, in one atomic step.
--
-- KEYS     a stream's records, head, checkpoints, notes and channel; or, for the last two steps, one index alone
-- ARGV     the name of the step, then what it is given
-- Answer   a list: one word that says how it went, then what belongs to it
-- Units    sequence numbers; milliseconds since 1970 by the server's clock; 0 where it stands for never
-- Source   docs/reference/log.md; decision 0014
--
-- A step looks first and writes then: it is refused as a whole, or done as a whole. It publishes last.

local GRACE = 86400000 -- for how long the server itself keeps what may be dropped

local records, head, checkpoints, notes, channel = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local call = redis.call
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function whole(number)
  return string.format('%.0f', number)
end

local function id(number)
  return string.format('%.0f-1', number)
end

-- All keys of a stream go together, so that none is ever there without the others.
local moved_to -- when the stream goes, where this step moved that
local function keep_until(expires)
  moved_to = whole(expires)
  call('HSET', head, 'expires', moved_to)
  for place = 1, 4 do
    if expires == 0 then
      call('PERSIST', KEYS[place])
    else
      call('PEXPIREAT', KEYS[place], whole(expires + GRACE))
    end
  end
end

-- Of a stream that nobody retained. Moved only where that changes much, and where a key was made just now.
local function keep_for(milliseconds, expires, is_retained, has_new_key)
  if is_retained then
    if has_new_key then
      keep_until(expires)
    end
  elseif has_new_key or math.abs(now + milliseconds - expires) > milliseconds / 8 then
    keep_until(now + milliseconds)
  end
end

local function tell(said)
  call('SPUBLISH', channel, said)
end

-- The records begin at this place of ARGV: the name, the data and the checksum of each.
local BEGIN = 8

-- Those that are there and hold other bytes: for each its number, and what is stored.
local function differing(first, known)
  local stored, found = {}, {}
  for _, entry in ipairs(call('XRANGE', records, id(first), id(first + known - 1))) do
    stored[entry[1]] = entry[2][4]
  end
  for place = 0, known - 1 do
    local data = stored[id(first + place)]
    if data ~= ARGV[BEGIN + 3 * place + 1] then
      found[#found + 1] = whole(first + place)
      found[#found + 1] = data or false
    end
  end
  return found
end

-- sizes: of the records' parts, for whoever reads the message; '' where they are too large for one.
local function append(_, epoch, open, kept, status, first, sizes)
  local there = call('HMGET', head, 'epoch', 'next', 'status', 'first', 'expires', 'retained')
  if not there[1] then
    return { 'unknown' }
  elseif there[1] ~= epoch then
    return { 'fenced', there[1] }
  end
  first = tonumber(first)
  local next_number, count, known = tonumber(there[2]), (#ARGV - BEGIN + 1) / 3, 0
  if count > 0 then
    if first > next_number then
      return { 'gap', there[2] }
    end
    known = math.min(first + count, next_number) - first
    local others = known > 0 and differing(first, known) or {}
    if #others > 0 then
      return { 'differs', there[2], others }
    elseif known < count and there[3] then
      return { 'closed', there[2] }
    end
  end
  for place = known, count - 1 do
    local at = BEGIN + 3 * place
    call('XADD', records, id(first + place), 'n', ARGV[at], 'd', ARGV[at + 1], 'c', ARGV[at + 2])
  end
  local is_first = known < count and there[2] == there[4]
  next_number = next_number + count - known
  -- Also where it is the same as before: a WAIT that follows waits for the last write of its connection.
  call('HSET', head, 'next', whole(next_number))
  local is_end = status ~= '' and not there[3]
  if is_end then
    call('HSET', head, 'status', string.sub(status, 2))
  end
  local is_closed = is_end or there[3]
  keep_for(tonumber(is_closed and kept or open), tonumber(there[5]), there[6], is_first)
  if known < count then
    local is_whole = known == 0 and sizes ~= ''
    tell(is_whole and whole(first) .. ' ' .. sizes .. '\n' .. table.concat(ARGV, '', BEGIN) or '')
  end
  if is_end then
    tell('')
  end
  return { 'done', whole(next_number), moved_to or there[5] }
end

-- What is done most is looked for first: the other steps, which are made anew for each call, are not made for it.
if ARGV[1] == 'append' then
  return append(unpack(ARGV, 1, BEGIN - 1))
end

local function drop()
  call('DEL', records, head, checkpoints, notes)
  tell('')
end

local step = {}

function step.acquire(_, owner, lease, first, open, kept)
  local there = call('HMGET', head, 'epoch', 'owner', 'lease', 'next', 'expires', 'retained', 'status')
  local is_new = not there[1]
  if is_new then
    call('DEL', records, checkpoints, notes)
    call('HSET', head, 'first', first, 'next', first, 'created', whole(now))
  elseif there[2] ~= '' and there[2] ~= owner and tonumber(there[3]) > now then
    return { 'held', there[2], whole(there[3] - now) }
  end
  local epoch = whole(math.max((there[1] or 0) + 1, now))
  local ends = whole(now + lease)
  call('HSET', head, 'epoch', epoch, 'owner', owner, 'lease', ends)
  keep_for(tonumber(there[7] and kept or open), tonumber(there[5] or 0), there[6], is_new)
  return { 'done', epoch, there[4] or first, ends, is_new and 1 or 0, call('HGET', head, 'expires') }
end

-- What a writer's steps begin with: nothing, where it may go on; else why it may not.
local function refusal(epoch)
  local current = call('HGET', head, 'epoch')
  if not current then
    return { 'unknown' }
  elseif current ~= epoch then
    return { 'fenced', current }
  end
end

function step.renew(_, epoch, lease)
  local refused = refusal(epoch)
  if refused then
    return refused
  end
  local ends = whole(now + lease)
  call('HSET', head, 'lease', ends)
  return { 'done', call('HGET', head, 'next'), ends }
end

function step.release(_, epoch)
  if not refusal(epoch) then
    call('HSET', head, 'owner', '', 'lease', '0')
  end
  return { 'done' }
end

function step.cancel()
  if call('EXISTS', head) == 0 then
    return { 'unknown' }
  end
  call('HSET', head, 'cancel', '1')
  tell('')
  return { 'done' }
end

function step.save(_, epoch, cursor, data)
  local refused = refusal(epoch)
  if refused then
    return refused
  end
  local there = call('HMGET', head, 'next', 'expires')
  if tonumber(cursor) >= tonumber(there[1]) then
    return { 'gap', there[1] }
  end
  call('HSET', checkpoints, cursor, data)
  keep_until(tonumber(there[2]))
  return { 'done' }
end

function step.checkpoint(_, at)
  local found
  for _, cursor in ipairs(call('HKEYS', checkpoints)) do
    local number = tonumber(cursor)
    if (at == '' or number <= tonumber(at)) and (not found or number > tonumber(found)) then
      found = cursor
    end
  end
  return found and { 'done', found, call('HGET', checkpoints, found) } or { 'none' }
end

-- A note that is the last one already was sent again, its answer having been lost.
function step.note(_, epoch, note)
  local refused = refusal(epoch)
  if refused then
    return refused
  end
  if call('LINDEX', notes, -1) ~= note then
    call('RPUSH', notes, note)
    keep_until(tonumber(call('HGET', head, 'expires')))
    tell('')
  end
  return { 'done' }
end

function step.retain(_, expires)
  if call('EXISTS', head) == 0 then
    return { 'unknown' }
  end
  call('HSET', head, 'retained', '1')
  keep_until(tonumber(expires))
  return { 'done' }
end

function step.drop()
  local was_there = call('EXISTS', head)
  drop()
  return { 'done', was_there }
end

-- What is to become of a stream that an index says may be dropped.
function step.expire()
  local expires = tonumber(call('HGET', head, 'expires') or -1)
  if expires < 0 then
    return { 'gone' }
  elseif expires == 0 or expires > now then
    return { 'kept', whole(expires) }
  end
  drop()
  return { 'dropped' }
end

-- The index of when streams may be dropped: an entry is changed only as long as it is the one that was read.

local index = KEYS[1]

function step.due(_, limit)
  return { 'done', call('ZRANGE', index, '-inf', whole(now), 'BYSCORE', 'LIMIT', 0, limit, 'WITHSCORES') }
end

-- To another time; without one, out of the index.
function step.move(_, tag, was, expires)
  if call('ZSCORE', index, tag) ~= was then
    return { 'done' }
  elseif expires then
    call('ZADD', index, expires, tag)
  else
    call('ZREM', index, tag)
  end
  return { 'done' }
end

return step[ARGV[1]](unpack(ARGV))
