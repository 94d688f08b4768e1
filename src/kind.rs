//! The stable names of everything that can go wrong.

use std::fmt;

macro_rules! error_kinds {
    ($($(#[doc = $doc:literal])+ $variant:ident => $name:literal,)+) => {
        /// Says what went wrong; the names are stable and appear in `--json` output and traces.
        ///
        /// ```
        /// use openai_agents::ErrorKind;
        ///
        /// assert_eq!(ErrorKind::MaxTurns.as_str(), "max_turns");
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorKind {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl ErrorKind {
            /// Every kind there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Returns the stable name.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

error_kinds! {
    /// Something is missing or wrong in the configuration.
    Config => "config",
    /// The connection could not be made or broke.
    Transport => "transport",
    /// No connection within the connect time-out.
    TimeoutConnect => "timeout_connect",
    /// No byte, or no event, within the idle time-out.
    TimeoutIdle => "timeout_idle",
    /// The call took longer than the total time-out.
    TimeoutTotal => "timeout_total",
    /// The server answered with a redirect, which is never followed.
    Redirect => "redirect",
    /// The server answered with an error status.
    ApiStatus => "api_status",
    /// The server put an error object into a successful answer.
    ApiError => "api_error",
    /// The answer is of another content type than was asked for.
    ContentType => "content_type",
    /// The answer is compressed, which was not asked for, or its compression is broken.
    ContentEncoding => "content_encoding",
    /// The answer is not UTF-8.
    InvalidUtf8 => "invalid_utf8",
    /// The answer is not JSON.
    InvalidJson => "invalid_json",
    /// A field has another type than the protocol gives it.
    WrongType => "wrong_type",
    /// A field that must be there is not.
    MissingField => "missing_field",
    /// Two parts of the answer contradict each other.
    Inconsistent => "inconsistent",
    /// The answer or request uses something this back end does not support.
    Unsupported => "unsupported",
    /// The server reported an error inside a stream.
    StreamError => "stream_error",
    /// The stream ended without saying that it is complete.
    NoTerminalEvent => "no_terminal_event",
    /// The answer was cut by a length limit where that loses meaning.
    Truncated => "truncated",
    /// The answer holds neither text nor a tool call.
    EmptyResponse => "empty_response",
    /// The response has the status `failed`.
    ResponseFailed => "response_failed",
    /// The response has the status `incomplete`.
    ResponseIncomplete => "response_incomplete",
    /// The finish reason is not one that can be acted on.
    UnknownFinishReason => "unknown_finish_reason",
    /// Harmony control tokens leaked into the answer.
    Harmony => "harmony",
    /// A size limit was exceeded.
    LimitExceeded => "limit_exceeded",
    /// A tool-call fragment cannot be assigned to a call.
    AmbiguousToolDelta => "ambiguous_tool_delta",
    /// Two tool calls of one response share an id.
    DuplicateToolCallId => "duplicate_tool_call_id",
    /// The model called a tool that does not exist.
    UnknownTool => "unknown_tool",
    /// The model called a tool that is disabled.
    DisabledTool => "disabled_tool",
    /// The arguments of a tool call do not fit the tool.
    BadToolArguments => "bad_tool_arguments",
    /// A tool failed and its failure ends the run.
    ToolFailed => "tool_failed",
    /// A tool timed out and that ends the run.
    ToolTimeout => "tool_timeout",
    /// The final output does not fit the output type.
    InvalidOutput => "invalid_output",
    /// The model refused.
    Refusal => "refusal",
    /// The provider's content filter cut the answer.
    ContentFilter => "content_filter",
    /// The run used all its turns.
    MaxTurns => "max_turns",
    /// The run used up a budget other than turns.
    BudgetExceeded => "budget_exceeded",
    /// A guardrail tripped.
    GuardrailTripped => "guardrail_tripped",
    /// A tool call waits for approval.
    ApprovalRequired => "approval_required",
    /// A saved run state cannot be used.
    StateInvalid => "state_invalid",
    /// A saved run state was changed.
    StateTampered => "state_tampered",
    /// A saved run state was resumed before.
    AlreadyResumed => "already_resumed",
    /// A hook, a guardrail or another callback of the application failed.
    CallbackFailed => "callback_failed",
    /// A session could not be read or written.
    Session => "session",
    /// Somebody else changed a session in between.
    SessionConflict => "session_conflict",
    /// The journal of a run could not be read or written.
    Journal => "journal",
    /// An MCP server failed.
    Mcp => "mcp",
    /// A plugin failed.
    Plugin => "plugin",
    /// The run was cancelled.
    Cancelled => "cancelled",
}

impl ErrorKind {
    /// Returns the HTTP status that says best whose fault it is.
    ///
    /// It is the client's, this server's, or that of the servers behind it.
    ///
    /// `serve` answers with it. 499 means that the client took its own request back. Pass a 429 of the model's server on as it is
    /// ([`RunError::status`](crate::RunError::status)).
    ///
    /// ```
    /// use openai_agents::ErrorKind;
    ///
    /// assert_eq!(ErrorKind::SessionConflict.http_status(), 409);
    /// assert_eq!(ErrorKind::TimeoutIdle.http_status(), 504);
    /// ```
    pub const fn http_status(self) -> u16 {
        match self {
            Self::Unsupported | Self::GuardrailTripped | Self::Refusal | Self::ContentFilter => 400,
            Self::ApprovalRequired
            | Self::StateInvalid
            | Self::StateTampered
            | Self::AlreadyResumed
            | Self::SessionConflict => 409,
            Self::MaxTurns | Self::BudgetExceeded => 422,
            Self::Cancelled => 499,
            Self::Config
            | Self::ToolFailed
            | Self::CallbackFailed
            | Self::Session
            | Self::Journal
            | Self::Mcp
            | Self::Plugin => 500,
            Self::TimeoutConnect | Self::TimeoutIdle | Self::TimeoutTotal | Self::ToolTimeout => {
                504
            }
            Self::Transport
            | Self::Redirect
            | Self::ApiStatus
            | Self::ApiError
            | Self::ContentType
            | Self::ContentEncoding
            | Self::InvalidUtf8
            | Self::InvalidJson
            | Self::WrongType
            | Self::MissingField
            | Self::Inconsistent
            | Self::StreamError
            | Self::NoTerminalEvent
            | Self::Truncated
            | Self::EmptyResponse
            | Self::ResponseFailed
            | Self::ResponseIncomplete
            | Self::UnknownFinishReason
            | Self::Harmony
            | Self::LimitExceeded
            | Self::AmbiguousToolDelta
            | Self::DuplicateToolCallId
            | Self::UnknownTool
            | Self::DisabledTool
            | Self::BadToolArguments
            | Self::InvalidOutput => 502,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
