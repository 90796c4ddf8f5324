-- What each method of a ValkeyLog does to a stream, in one atomic step.
--
-- KEYS     a stream's records, head and channel; its control, checkpoints and notes, but for `append`; or, for the last two
--          steps, one index alone
-- ARGV     the name of the step, then what it is given
-- Answer   a list: one word that says how it went, then what belongs to it
-- Units    sequence numbers; milliseconds since 1970 by the server's clock; 0 where it stands for never
-- Source   docs/reference/log.md; decision 0014
--
-- A step looks first and writes then: it is refused as a whole, or done as a whole. It publishes last.

local GRACE = 86400000 -- for how long the server itself keeps what may be dropped

local records, head, channel, control, checkpoints, notes = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local call, format = redis.call, string.format
local WHOLE, ID = '%.0f', '%.0f-1'

local function now()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- All keys of a stream go together, so that none is ever there without the others.
local function keep_until(expires)
  call('HSET', head, 'expires', format(WHOLE, expires))
  for _, key in ipairs({ records, head, checkpoints, notes }) do
    if expires == 0 then
      call('PERSIST', key)
    else
      call('PEXPIREAT', key, format(WHOLE, expires + GRACE))
    end
  end
end

-- What is done most comes first, and is no function: all that is below is made anew for each call that reaches it.
-- An append that finishes the stream is given two things more. Behind are the records, and before them their sizes, for
-- whoever reads the message; '' where they are too large for one.
if ARGV[1] == 'append' or ARGV[1] == 'finish' then
  local epoch, first, sizes, kept, status, BEGIN = ARGV[2], tonumber(ARGV[3]), ARGV[4], nil, nil, 5
  if ARGV[1] == 'finish' then
    kept, status, BEGIN = ARGV[5], ARGV[6], 7
  end
  local there = call('HMGET', head, 'epoch', 'next', 'status', 'first')
  if not there[1] then
    return { 'unknown' }
  elseif there[1] ~= epoch then
    return { 'fenced', there[1] }
  end
  local count, known = #ARGV - BEGIN + 1, 0 -- known: of the records, how many are there already
  if count > 0 then
    if ARGV[3] ~= there[2] then
      local next_number = tonumber(there[2])
      if first > next_number then
        return { 'gap', there[2] }
      end
      known = math.min(first + count, next_number) - first
      local stored, differing = {}, {}
      for _, entry in ipairs(call('XRANGE', records, format(ID, first), format(ID, first + known - 1))) do
        stored[entry[1]] = entry[2][2]
      end
      for place = 0, known - 1 do
        local record = stored[format(ID, first + place)]
        if record ~= ARGV[BEGIN + place] then
          differing[#differing + 1] = format(WHOLE, first + place)
          differing[#differing + 1] = record or false
        end
      end
      if #differing > 0 then
        return { 'differs', there[2], differing }
      end
    end
    if known < count and there[3] then
      return { 'closed', there[2] }
    end
  end
  for place = known, count - 1 do
    local id = place == 0 and ARGV[3] .. '-1' or format(ID, first + place)
    call('XADD', records, id, 'd', ARGV[BEGIN + place])
  end
  -- Also where it is the same as before: a WAIT that follows waits for the last write of its connection.
  local done = { 'done', there[2] + count - known }
  call('HSET', head, 'next', done[2])
  local is_new, is_end = known < count, status and not there[3]
  if is_new and there[2] == there[4] then -- the first records, which are a new key
    keep_until(tonumber(call('HGET', head, 'expires')))
  end
  if is_end then
    call('HSET', head, 'status', status)
    if call('HEXISTS', head, 'retained') == 0 then
      keep_until(now() + kept)
    end
  end
  if status then
    done[3] = call('HGET', head, 'expires')
  end
  if is_new then
    local said = ''
    if known == 0 and sizes ~= '' then
      said = ARGV[3] .. ' ' .. sizes .. '\n' .. (count == 1 and ARGV[BEGIN] or table.concat(ARGV, '', BEGIN))
    end
    call('SPUBLISH', channel, said)
  end
  if is_end then
    call('SPUBLISH', channel, '')
    call('SPUBLISH', control, '')
  end
  return done
end

local function whole(number)
  return format(WHOLE, number)
end

local function tell()
  call('SPUBLISH', channel, '')
  call('SPUBLISH', control, '')
end

local function drop()
  call('DEL', records, head, checkpoints, notes)
  tell()
end

local step = {}

-- Of a stream that nobody finished or retained: it stays for so long after its writer's lease has ended.
local function keep_while_open(is_settled, ends, open)
  if not is_settled then
    keep_until(ends + open)
  end
end

function step.acquire(_, owner, lease, first, open)
  local time = now()
  local there = call('HMGET', head, 'epoch', 'owner', 'lease', 'next', 'status', 'retained')
  local is_new = not there[1]
  if is_new then
    call('DEL', records, checkpoints, notes)
    call('HSET', head, 'first', first, 'next', first, 'created', whole(time))
  elseif there[2] ~= '' and there[2] ~= owner and tonumber(there[3]) > time then
    return { 'held', there[2], whole(there[3] - time) }
  end
  local epoch, ends = whole(math.max((there[1] or 0) + 1, time)), time + lease
  call('HSET', head, 'epoch', epoch, 'owner', owner, 'lease', whole(ends))
  keep_while_open(there[5] or there[6], ends, open)
  return { 'done', epoch, there[4] or first, whole(ends), is_new and 1 or 0, call('HGET', head, 'expires') }
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

function step.renew(_, epoch, lease, open)
  local refused = refusal(epoch)
  if refused then
    return refused
  end
  local there = call('HMGET', head, 'next', 'status', 'retained')
  local ends = now() + lease
  call('HSET', head, 'lease', whole(ends))
  keep_while_open(there[2] or there[3], ends, open)
  return { 'done', there[1], whole(ends) }
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
  tell()
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
    call('SPUBLISH', channel, '')
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
  elseif expires == 0 or expires > now() then
    return { 'kept', whole(expires) }
  end
  drop()
  return { 'dropped' }
end

-- The index of when streams may be dropped: an entry is changed only as long as it is the one that was read.

local index = KEYS[1]

function step.due(_, limit)
  return { 'done', call('ZRANGE', index, '-inf', whole(now()), 'BYSCORE', 'LIMIT', 0, limit, 'WITHSCORES') }
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
