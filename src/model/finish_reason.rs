//! What the words mean by which servers say why an answer ended: the one table of all vendors' vocabularies.

/// What a server's word for the end of an answer means.
///
/// An answer counts as complete only if its word is known to mean that. A word that stands in no table is the error
/// `unknown_finish_reason`; [`Dialect::finish_reasons`](crate::model::Dialect::finish_reasons) adds words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FinishReason {
    /// The model said all that it wanted to say, or met a stop sequence.
    Complete,
    /// The model calls tools.
    ToolCalls,
    /// A length limit or a pause cut the answer: the error `truncated`.
    Truncated,
    /// A filter cut or withheld the answer: the error `content_filter`.
    Filtered,
    /// The server failed or was stopped while the model answered: the error `stream_error`.
    Failed,
}

/// The words, in lower case, with underscores, without `finish_reason_`. Those of Gemini, Anthropic, Bedrock, Zhipu, TGI,
/// watsonx and `DeepSeek` were looked up on 2026-11-26; the others are as commonly known, and were not all looked up.
///
/// - `OpenAI`: `stop`, `length`, `tool_calls`, `function_call`, `content_filter`
///   (`platform.openai.com/docs/api-reference/chat/object`); statuses of the Responses API and of its items, and the reason
///   `max_output_tokens` (`.../responses/object`).
/// - `vLLM`: `abort`, `error`, `repetition` (`vllm/v1/engine/__init__.py`, `FinishReason`); `SGLang` has `abort` too.
/// - Gemini: `STOP`, `MAX_TOKENS`, `SAFETY`, `RECITATION`, `LANGUAGE`, `BLOCKLIST`, `PROHIBITED_CONTENT`, `SPII`,
///   `MALFORMED_FUNCTION_CALL`, `MALFORMED_RESPONSE`, `UNEXPECTED_TOOL_CALL`, `TOO_MANY_TOOL_CALLS`, `MISSING_THOUGHT_SIGNATURE` and those of images
///   (`ai.google.dev/api/generate-content#FinishReason`). `OTHER` says nothing, and stays unknown.
/// - `Z.ai` and Zhipu: `sensitive`, `network_error`, `model_context_window_exceeded` (`docs.z.ai/api-reference/llm/chat-completion`).
/// - Anthropic: `end_turn`, `max_tokens`, `stop_sequence`, `tool_use`, `pause_turn`, `refusal`, `model_context_window_exceeded`
///   (`platform.claude.com/docs/en/build-with-claude/handling-stop-reasons`).
/// - Amazon Bedrock: Anthropic's, `guardrail_intervened`, `content_filtered`, `malformed_model_output`, `malformed_tool_use`
///   (`docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_MessageStopEvent.html`).
/// - TGI: `eos_token`, `stop_sequence`, `length` (`TextGenerationFinishReason` of `@huggingface/tasks`).
/// - Mistral: `model_length`, `error` (`docs.mistral.ai/api`). `DeepSeek`: `insufficient_system_resource` (`api-docs.deepseek.com`).
/// - Cohere: `COMPLETE`, `STOP_SEQUENCE`, `MAX_TOKENS`, `TOOL_CALL`, `ERROR`, `ERROR_TOXIC`, `ERROR_LIMIT`, `USER_CANCEL`, `TIMEOUT`
///   (`docs.cohere.com/reference/chat`, and Oracle's `CohereChatResponse.FinishReasonEnum`).
/// - IBM watsonx: `time_limit`, `token_limit`, `cancelled` (`ibm.github.io/watsonx-ai-node-sdk`, `FinishReason`).
/// - llama.cpp's own completions: `eos`, `word`, `limit` (`tools/server/README.md`). Ollama: `stop`, `length`, `load`, `unload`
///   (`llm/server.go`), of which the last two come without an answer.
/// - `LiteLLM` maps to `OpenAI`'s words and passes on what it does not know (`core_helpers.py`, `map_finish_reason`).
/// - Vercel's AI gateway: `tool-calls`, `content-filter` (`LanguageModelV2FinishReason`).
const WORDS: [(FinishReason, &[&str]); 5] = [
    (
        FinishReason::Complete,
        &[
            "stop",
            "completed",
            "complete",
            "end_turn",
            "stop_sequence",
            "eos_token",
            "eos",
            "word",
        ],
    ),
    (
        FinishReason::ToolCalls,
        &["tool_calls", "function_call", "tool_use", "tool_call"],
    ),
    (
        FinishReason::Truncated,
        &[
            "length",
            "incomplete",
            "in_progress",
            "max_tokens",
            "max_output_tokens",
            "model_length",
            "model_context_window_exceeded",
            "error_limit",
            "token_limit",
            "time_limit",
            "limit",
            "pause_turn",
        ],
    ),
    (
        FinishReason::Filtered,
        &[
            "content_filter",
            "content_filtered",
            "guardrail_intervened",
            "refusal",
            "safety",
            "recitation",
            "language",
            "blocklist",
            "prohibited_content",
            "spii",
            "image_safety",
            "image_prohibited_content",
            "image_recitation",
            "sensitive",
            "error_toxic",
        ],
    ),
    (
        FinishReason::Failed,
        &[
            "error",
            "failed",
            "abort",
            "aborted",
            "cancelled",
            "user_cancel",
            "timeout",
            "repetition",
            "network_error",
            "insufficient_system_resource",
            "malformed_function_call",
            "malformed_response",
            "malformed_model_output",
            "malformed_tool_use",
            "unexpected_tool_call",
            "too_many_tool_calls",
            "missing_thought_signature",
            "image_other",
            "no_image",
        ],
    ),
];

impl FinishReason {
    /// Returns the meaning of a vendor's word, in any case, if it is known.
    pub fn from_word(word: &str) -> Option<Self> {
        const PREFIX: &str = "finish_reason_";
        let (prefix, rest) = word.split_at_checked(PREFIX.len()).unwrap_or(("", word));
        let word = if is_word(prefix, PREFIX) { rest } else { word };
        WORDS.iter().find_map(|(meaning, words)| {
            let is_known = words.iter().any(|known| is_word(word, known));
            is_known.then_some(*meaning)
        })
    }
}

/// Whether a vendor's word is this one of the table, which has lower case and underscores.
fn is_word(word: &str, known: &str) -> bool {
    let in_table = |byte: u8| match byte {
        b'-' => b'_',
        byte => byte.to_ascii_lowercase(),
    };
    word.bytes().map(in_table).eq(known.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn word_of_a_vendor_any_case_has_its_meaning() {
        for (word, meaning) in [
            ("stop", Some(FinishReason::Complete)),
            ("STOP", Some(FinishReason::Complete)),
            ("FINISH_REASON_STOP", Some(FinishReason::Complete)),
            ("finish-reason-stop", Some(FinishReason::Complete)),
            ("tool-calls", Some(FinishReason::ToolCalls)),
            ("MAX_TOKENS", Some(FinishReason::Truncated)),
            ("content-filter", Some(FinishReason::Filtered)),
            ("network_error", Some(FinishReason::Failed)),
            ("OTHER", None),
            ("FINISH_REASON_UNSPECIFIED", None),
            ("load", None),
            ("stopped", None),
            ("finish_reason_", None),
            ("ended: ünfinished", None),
            ("", None),
        ] {
            assert_eq!(FinishReason::from_word(word), meaning, "{word}");
        }
    }

    #[test]
    fn words_of_the_table_are_lower_case_and_mean_one_thing() {
        let mut seen = Vec::new();
        for word in WORDS.iter().flat_map(|(_, words)| *words) {
            assert_eq!(*word, word.to_ascii_lowercase());
            assert!(!word.contains('-') && !seen.contains(word), "{word}");
            seen.push(*word);
        }
    }
}
