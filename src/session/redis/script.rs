//! What is said to Redis, one script for each operation.
//!
//! `KEYS` are the items and the version; `ARGV` of a change are the version that it must come after or nothing, a nonce, the
//! milliseconds after which the session is forgotten or nothing, and the new items. A script runs alone. It writes nothing before it knows that it may, so that a failure leaves nothing half done.

use std::sync::LazyLock;

use redis::Script;

/// A version is a nonce, which is new whenever there was none, and a number, which grows with every change.
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
end
local function append()
    for n = 4, #ARGV do redis.call('RPUSH', KEYS[1], ARGV[n]) end
end
",
                $change,
                "
if ARGV[3] ~= '' then
    for n = 1, 2 do redis.call('PEXPIRE', KEYS[n], ARGV[3]) end
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
    change!("redis.call('DEL', KEYS[1], KEYS[2]) version = '0'");

pub(super) static READ: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local items = {}
if tonumber(ARGV[1]) > 0 then items = redis.call('LRANGE', KEYS[1], -ARGV[1], -1) end
return {redis.call('GET', KEYS[2]) or '0', items}",
    )
});
