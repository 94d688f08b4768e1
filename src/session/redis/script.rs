//! The Lua script of every operation.
//!
//! `KEYS` are the items, the version and the times. `ARGV` of a change are the version that it must
//! follow (or nothing), a nonce, the milliseconds after which the session expires (or nothing), and
//! the new items. Redis runs nothing else while a script runs. A script checks first and writes
//! afterwards, so that a failure leaves nothing half done. Times are microseconds of Redis's own
//! clock, because the clocks of several clients would not agree.

use std::sync::LazyLock;

use redis::Script;

/// Wraps a change into the check of the version and the writing of the new one.
///
/// A version is a nonce, new for every session that begins, and a number that grows with every
/// change.
macro_rules! change {
    ($change:literal) => {
        LazyLock::new(|| {
            Script::new(concat!(
                "local version = redis.call('GET', KEYS[2]) or '0'
if ARGV[1] ~= '' and ARGV[1] ~= version then return {0, version} end
local function changed()
    local nonce, n = string.match(version, '^(%x+)%.(%d+)$')
    if nonce then version = string.format('%s.%.0f', nonce, n + 1) else version = ARGV[2] .. '.1' end
    redis.call('SET', KEYS[2], version)
    local time = redis.call('TIME')
    local now = string.format('%.0f', time[1] * 1000000 + time[2])
    redis.call('HSETNX', KEYS[3], 'created', now)
    redis.call('HSET', KEYS[3], 'updated', now)
end
local function append()
    for n = 4, #ARGV do redis.call('RPUSH', KEYS[1], ARGV[n]) end
end
",
                $change,
                "
if ARGV[3] ~= '' then
    for n = 1, 3 do redis.call('PEXPIRE', KEYS[n], ARGV[3]) end
end
return {1, version}"
            ))
        })
    };
}

pub(super) static APPEND: LazyLock<Script> = change!("if #ARGV > 3 then append() changed() end");

pub(super) static REPLACE: LazyLock<Script> =
    change!("redis.call('DEL', KEYS[1]) append() changed()");

pub(super) static POP: LazyLock<Script> =
    change!("if redis.call('RPOP', KEYS[1]) then changed() end");

pub(super) static CLEAR: LazyLock<Script> =
    change!("redis.call('DEL', KEYS[1], KEYS[2], KEYS[3]) version = '0'");

pub(super) static READ: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local items = {}
if tonumber(ARGV[1]) > 0 then items = redis.call('LRANGE', KEYS[1], -ARGV[1], -1) end
return {redis.call('GET', KEYS[2]) or '0', items}",
    )
});

/// Continues a scan for version keys: returns the next cursor, and for each session found its
/// version key, number of items, and times of first and last change.
///
/// One step looks at about a thousand keys of the whole database, because Redis serves nobody else
/// while a script runs.
pub(super) static LIST: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local scan = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', 1000)
local found = {}
for n, key in ipairs(scan[2]) do
    local stem = string.sub(key, 1, -1 - string.len('version'))
    local times = redis.call('HMGET', stem .. 'times', 'created', 'updated')
    found[n] = {key, redis.call('LLEN', stem .. 'items'), times[1] or '', times[2] or ''}
end
return {scan[1], found}",
    )
});
