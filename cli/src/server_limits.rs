//! Applies the limits of the section `server` to the server.

use openai_agents::config::ServerLimits;
use openai_agents::server::ServerBuilder;

/// Sets the limits of the file. The others have the defaults of the library.
pub(crate) fn set(builder: ServerBuilder, limits: &ServerLimits) -> ServerBuilder {
    fn with<T>(
        builder: ServerBuilder,
        limit: Option<T>,
        set: fn(ServerBuilder, T) -> ServerBuilder,
    ) -> ServerBuilder {
        match limit {
            Some(limit) => set(builder, limit),
            None => builder,
        }
    }
    let builder = with(
        builder,
        limits.max_body_bytes,
        ServerBuilder::max_body_bytes,
    );
    let builder = with(
        builder,
        limits.max_bodies_bytes,
        ServerBuilder::max_bodies_bytes,
    );
    let builder = with(builder, limits.body_timeout, ServerBuilder::body_timeout);
    let builder = with(
        builder,
        limits.max_connections,
        ServerBuilder::max_connections,
    );
    let builder = with(builder, limits.max_requests, ServerBuilder::max_requests);
    let builder = with(builder, limits.max_runs, ServerBuilder::max_runs);
    let builder = with(
        builder,
        limits.max_waiting_runs,
        ServerBuilder::max_waiting_runs,
    );
    let builder = with(builder, limits.max_events, ServerBuilder::max_events);
    let builder = with(builder, limits.max_kept, ServerBuilder::max_kept);
    let builder = with(
        builder,
        limits.max_kept_bytes,
        ServerBuilder::max_kept_bytes,
    );
    let builder = with(builder, limits.max_kept_age, ServerBuilder::max_kept_age);
    with(
        builder,
        limits.max_realtime_sessions,
        ServerBuilder::max_realtime_sessions,
    )
}
