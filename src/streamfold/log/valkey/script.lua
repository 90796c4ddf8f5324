-- Everything that changes a stream: each step runs as a whole or not at all (decision 0014).
--
-- KEYS: the stream's records, head and channel; for all steps except `append` also its control channel, checkpoints and
-- notes. The last two steps take one index instead. ARGV: the name of the step, then its arguments. The answer is a list
-- that starts with one word for the result. Times are in milliseconds since 1970 by the server's clock; 0 means never.
--
-- Every step checks first, then writes, and publishes last: a step that is refused has changed nothing.

local GRACE = 86400000 -- how long the server keeps a stream that `expire` could drop

local records, head, channel, control, checkpoints, notes = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local call, format = redis.call, string.format
local WHOLE, ID = '%.0f', '%.0f-1'

local function now()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- All keys of a stream expire together, so that none exists without the others.
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

-- The most frequent step comes first and is not a function: Lua creates the functions below anew in every call that
-- reaches them. `finish` takes two more arguments than `append`. The records come last; before them are their sizes, for
-- the readers of the message, or '' if they are too large for one.
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
  -- Records that somebody deleted or trimmed: nothing may be acknowledged on top of them.
  local length = call('XLEN', records)
  if length ~= there[2] - there[4] then
    return { 'damaged', length, there[2] - there[4] }
  end
  local count, known = #ARGV - BEGIN + 1, 0 -- known: how many of the records are stored already
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
  -- Even if nothing changed: the WAIT that follows waits for the last write of its connection, and there must be one.
  local done = { 'done', there[2] + count - known }
  call('HSET', head, 'next', done[2])
  local is_new, is_end = known < count, status and not there[3]
  if is_new and there[2] == there[4] then -- the first records create the key, which needs an expiry
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

local function notify()
  call('SPUBLISH', channel, '')
  call('SPUBLISH', control, '')
end

local function drop()
  call('DEL', records, head, checkpoints, notes)
  notify()
end

local step = {}

-- A stream that is neither finished nor retained is kept for this long after its writer's lease ends.
local function keep_while_open(is_settled, ends, open)
  if not is_settled then
    keep_until(ends + open)
  end
end

function step.acquire(_, owner, lease, first, open)
  local time = now()
  local there = call('HMGET', head, 'epoch', 'owner', 'lease', 'next', 'status', 'retained', 'length')
  local is_new = not there[1]
  if is_new then
    call('DEL', records, checkpoints, notes)
    call('HSET', head, 'first', first, 'next', first, 'created', whole(time))
  elseif there[2] ~= '' and there[2] ~= owner and tonumber(there[3]) > time then
    -- If the clock was set back, the lease ends no later than its length from now: see `lease_end` in append.py.
    local left = there[3] - time
    if there[7] and left > tonumber(there[7]) then
      left = tonumber(there[7])
      call('HSET', head, 'lease', whole(time + left))
    end
    return { 'held', there[2], whole(left) }
  end
  local epoch, ends = whole(math.max((there[1] or 0) + 1, time)), time + lease
  call('HSET', head, 'epoch', epoch, 'owner', owner, 'lease', whole(ends), 'length', lease)
  keep_while_open(there[5] or there[6], ends, open)
  return { 'done', epoch, there[4] or first, whole(ends), is_new and 1 or 0, call('HGET', head, 'expires') }
end

-- Every step of a writer starts with this. Returns nil if it may continue, otherwise the refusal.
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
  call('HSET', head, 'lease', whole(ends), 'length', lease)
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
  notify()
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

-- A note that equals the last one was sent again because its answer was lost.
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

-- Drops a stream that the index lists as due, if it is; the index may be stale.
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

-- The index of expiries. An entry is changed only if it is still the one that was read.

local index = KEYS[1]

function step.due(_, limit)
  return { 'done', call('ZRANGE', index, '-inf', whole(now()), 'BYSCORE', 'LIMIT', 0, limit, 'WITHSCORES') }
end

-- Moves an entry to another time, or removes it if there is none.
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
