//! The two things that must happen in one step.
//!
//! They compare the run of the server with the one that made the base: a replica
//! that took over, or a server that came back with old content, numbers nothing
//! before it has a base of its own. To ask for the run takes tens of microseconds,
//! so an invalidation asks only where a connection may lead to another server
//! without a word, as in a cluster; elsewhere every connection begins with a join.

/// Joins, and begins a new base where anything may be lost. Numbers begin at the
/// server's time in microseconds, so that none of an earlier base is used again,
/// and stay below 2^53, which is what a script can count to.
///
/// KEYS: epoch, stamps. ARGV: channel, the body of the message, the highest
/// number that the caller knows, `1` to begin a new base in any case.
pub(super) const JOIN: &str = r"
if string.match(redis.call('INFO', 'replication'), 'role:(%a+)') ~= 'master' then
  return redis.error_reply('READONLY it is a replica')
end
local function sane(key, kind)
  local found = redis.call('TYPE', key).ok
  if found ~= kind and found ~= 'none' then redis.call('UNLINK', key) end
end
local function number(text)
  local found = text and string.match(text, '^%d+$') and tonumber(text) or 0
  return found < 2^53 and found or 0
end
sane(KEYS[1], 'string')
sane(KEYS[2], 'hash')
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local epoch = number(redis.call('GET', KEYS[1]))
local head = redis.call('HMGET', KEYS[2], 'run', 'base')
local base, known = number(head[2]), tonumber(ARGV[3])
if ARGV[4] ~= '1' and head[1] == run and base > 0 and epoch >= base and epoch >= known then
  return { epoch, base }
end
local time = redis.call('TIME')
local first = math.max(time[1] * 1000000 + time[2], epoch + 1, known + 1)
local text = string.format('%.0f', first)
redis.call('UNLINK', KEYS[2])
redis.call('SET', KEYS[1], text)
redis.call('HSET', KEYS[2], 'run', run, 'base', text)
redis.call('PUBLISH', ARGV[1], text .. ' ' .. ARGV[2])
return { first, first }
";

/// Numbers an invalidation, stamps its slots and tells everybody; 0 if there is no
/// base, or one of another run.
///
/// KEYS: epoch, stamps. ARGV: channel, the body of the message, `1` to compare the
/// run, the slots.
pub(super) const PUBLISH: &str = r"
local head = redis.call('HMGET', KEYS[2], 'run', 'base')
if not head[2] or redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if ARGV[3] == '1' then
  local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
  if head[1] ~= run then return 0 end
end
local number = redis.call('INCR', KEYS[1])
if number >= 2^53 then return 0 end
local text, stamps = string.format('%.0f', number), {}
for at = 4, #ARGV do
  stamps[#stamps + 1] = ARGV[at]
  stamps[#stamps + 1] = text
end
if #stamps > 0 then redis.call('HSET', KEYS[2], unpack(stamps)) end
redis.call('PUBLISH', ARGV[1], text .. ' ' .. ARGV[2])
return number
";
