//! The SQL of every operation, one statement each.
//!
//! A statement sees the database as it was when the statement began, except for rows that it locks,
//! which it sees as they are now. So every change first locks the session's row in
//! `openai_agents_versions`. If the row is not what the statement saw, somebody wrote in between,
//! and the statement does nothing. A version also contains the number of the latest message, which
//! reveals what the Python SDK wrote: it does not know the version table.

/// Creates the tables. The advisory lock lets one client at a time do so: two `CREATE TABLE IF NOT
/// EXISTS` that run at once can both find nothing, and then one fails. The number of the lock is
/// arbitrary.
pub(super) const TABLES: &str = "
BEGIN;
SELECT pg_advisory_xact_lock(7304281915506614);
CREATE TABLE IF NOT EXISTS agent_sessions (
    session_id VARCHAR PRIMARY KEY,
    created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE IF NOT EXISTS agent_messages (
    id BIGSERIAL PRIMARY KEY,
    session_id VARCHAR NOT NULL REFERENCES agent_sessions (session_id) ON DELETE CASCADE,
    message_data TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX IF NOT EXISTS idx_agent_messages_session_id ON agent_messages (session_id, id);
CREATE SEQUENCE IF NOT EXISTS openai_agents_version;
CREATE TABLE IF NOT EXISTS openai_agents_versions (
    session_id TEXT PRIMARY KEY,
    version BIGINT NOT NULL
);
COMMIT;
";

/// Whether all tables exist. A user who may not create tables can then still use them.
pub(super) const HAS_TABLES: &str = "
SELECT to_regclass('agent_sessions') IS NOT NULL AND to_regclass('agent_messages') IS NOT NULL
    AND to_regclass('openai_agents_versions') IS NOT NULL AND to_regclass('openai_agents_version') IS NOT NULL
";

/// What the statement saw when it began: the session's version number (0 without a row) and the
/// number of its latest message.
macro_rules! seen {
    () => {
        "WITH seen AS MATERIALIZED (
    SELECT coalesce((SELECT version FROM openai_agents_versions WHERE session_id = $1), 0) AS version,
        coalesce((SELECT max(id) FROM agent_messages WHERE session_id = $1), 0)::int8 AS id
)"
    };
}

/// Locks the session's row and gives it a new version, if the row is still as it was seen.
///
/// `xmax = 0` tells a row that was inserted from one that was updated. An inserted row is only
/// right where none was seen: otherwise the session was cleared in between.
macro_rules! taken {
    ($or:literal) => {
        concat!(
            seen!(),
            ", head AS (
    INSERT INTO openai_agents_versions AS v (session_id, version)
    SELECT $1, nextval('openai_agents_version') FROM seen
    WHERE $2 IS NULL OR $2 = seen.version || '.' || seen.id
    ON CONFLICT (session_id) DO UPDATE SET version = EXCLUDED.version
    WHERE v.version = (SELECT version FROM seen)",
            $or,
            "
    RETURNING version, xmax = 0 AS is_new
), taken AS (
    SELECT head.version FROM head, seen WHERE NOT is_new OR seen.version = 0
)"
        )
    };
}

/// Adds the items `$3` behind the others; nothing unless the row was taken.
macro_rules! insert {
    () => {
        ", session AS (
    INSERT INTO agent_sessions (session_id) SELECT $1 FROM taken WHERE cardinality($3) > 0
    ON CONFLICT (session_id) DO UPDATE SET updated_at = CURRENT_TIMESTAMP
), message AS (
    INSERT INTO agent_messages (session_id, message_data, created_at)
    SELECT $1, new.item, clock_timestamp() FROM taken, unnest($3) WITH ORDINALITY AS new (item, place)
    ORDER BY new.place RETURNING id
)"
    };
}

pub(super) const READ: &str = concat!(
    seen!(),
    "
SELECT seen.version || '.' || seen.id, latest.id::int8, latest.message_data FROM seen LEFT JOIN LATERAL (
    SELECT id, message_data FROM agent_messages WHERE session_id = $1 ORDER BY id DESC LIMIT $2
) AS latest ON true ORDER BY latest.id DESC"
);

/// Appends. Without an expected version (`$2`) it does not matter what others wrote in between.
pub(super) const APPEND: &str = concat!(
    taken!(" OR $2 IS NULL"),
    insert!(),
    "
SELECT seen.version || '.' || seen.id,
    (SELECT version FROM taken) || '.' || coalesce((SELECT max(id) FROM message), seen.id) FROM seen"
);

pub(super) const REPLACE: &str = concat!(
    taken!(""),
    insert!(),
    ", gone AS (
    DELETE FROM agent_messages USING taken WHERE session_id = $1
)
SELECT seen.version || '.' || seen.id,
    (SELECT version FROM taken) || '.' || coalesce((SELECT max(id) FROM message), 0) FROM seen"
);

pub(super) const POP: &str = concat!(
    taken!(""),
    ", gone AS (
    DELETE FROM agent_messages USING taken, seen
    WHERE session_id = $1 AND agent_messages.id = seen.id AND cardinality($3) = 0
    RETURNING agent_messages.id
)
SELECT seen.version || '.' || seen.id, (SELECT taken.version || '.' || gone.id FROM taken, gone) FROM seen"
);

/// Deletes the session's row if it is as it was seen, and then all the rest.
pub(super) const CLEAR: &str = concat!(
    seen!(),
    ", head AS (
    DELETE FROM openai_agents_versions AS v USING seen
    WHERE session_id = $1 AND v.version = seen.version AND $2 IS NULL AND cardinality($3) = 0 RETURNING 1
), taken AS (
    SELECT 1 FROM seen WHERE seen.version = 0 OR EXISTS (SELECT 1 FROM head)
), message AS (
    DELETE FROM agent_messages USING taken WHERE session_id = $1
), session AS (
    DELETE FROM agent_sessions USING taken WHERE session_id = $1
)
SELECT seen.version || '.' || seen.id, (SELECT '0.0' FROM taken) FROM seen"
);

/// Lists `$1` sessions, the one with the latest message first.
///
/// The tables hold times without a zone, in the zone of the connection that wrote them. That is the
/// database's default for every connection that does not ask for another. Messages are counted only
/// for the sessions that are listed.
pub(super) const LIST: &str = "
SELECT s.session_id, (SELECT count(*) FROM agent_messages AS m WHERE m.session_id = s.session_id)::int8,
    to_char(s.created_at::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
    to_char(s.updated_at::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')
FROM (
    SELECT *, (SELECT max(id) FROM agent_messages AS m WHERE m.session_id = agent_sessions.session_id) AS latest
    FROM agent_sessions ORDER BY latest DESC NULLS LAST, updated_at DESC LIMIT $1
) AS s ORDER BY s.latest DESC NULLS LAST, s.updated_at DESC";
