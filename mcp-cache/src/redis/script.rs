//! The two things that must happen in one step.

/// Joins, and begins a new base where anything may be lost. Numbers begin at the
/// server's time in microseconds, so that none of an earlier base is used again.
///
/// KEYS: epoch, stamps. ARGV: channel, the body of the message, the highest
/// number that the caller knows, `1` to begin a new base in any case.
pub(super) const JOIN: &str = r"
local function sane(key, kind)
  local found = redis.call('TYPE', key).ok
  if found ~= kind and found ~= 'none' then redis.call('UNLINK', key) end
end
sane(KEYS[1], 'string')
sane(KEYS[2], 'hash')
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local epoch = tonumber(redis.call('GET', KEYS[1]) or '0') or 0
local head = redis.call('HMGET', KEYS[2], 'run', 'base')
local known = tonumber(ARGV[3])
if ARGV[4] ~= '1' and head[1] == run and head[2] and epoch > 0 and epoch >= known then
  return { epoch, tonumber(head[2]) }
end
local time = redis.call('TIME')
local number = math.max(time[1] * 1000000 + time[2], epoch + 1, known + 1)
local text = string.format('%.0f', number)
redis.call('UNLINK', KEYS[2])
redis.call('SET', KEYS[1], text)
redis.call('HSET', KEYS[2], 'run', run, 'base', text)
redis.call('PUBLISH', ARGV[1], text .. ' ' .. ARGV[2])
return { number, number }
";

/// Numbers an invalidation, stamps its slots and tells everybody; 0 if there is no
/// base.
///
/// KEYS: epoch, stamps. ARGV: channel, the body of the message, the slots.
pub(super) const PUBLISH: &str = r"
if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('HEXISTS', KEYS[2], 'base') == 0 then
  return 0
end
local number = redis.call('INCR', KEYS[1])
local text = string.format('%.0f', number)
for at = 3, #ARGV do redis.call('HSET', KEYS[2], ARGV[at], text) end
redis.call('PUBLISH', ARGV[1], text .. ' ' .. ARGV[2])
return number
";
