//! What a user of the Python Agents SDK counts on, case by case, each by its number.
//!
//! A case whose test stands elsewhere is named with its file; `scenario` is one of `tests/fixtures/python-parity/scenarios.json`, which
//! `testbed` runs. Where this library means something else, the test of the case says so.
//!
//! | case | what | where |
//! |---|---|---|
//! | 1 | a text is the final output | `run`, scenario `plain_text` |
//! | 2 | a tool call is answered | `run`, `wire_requests`, scenario `one_tool` |
//! | 3, 14 | outputs in call order, events as tools finish | `run`, scenario `two_tools_parallel_order` |
//! | 4 | tools at once, up to a cap | `run` |
//! | 5, 6, 7 | bad arguments, failing tools, told or raised | `tools_failing`, scenarios `truncated_arguments`, `tool_raises`, `tool_raises_hard` |
//! | 8 | what finished before a raised failure is kept | `tools_failing`, scenario `session_tool_raises` |
//! | 9 | a time-out is told or raised | `tools_failing` |
//! | 10, 11, 12 | unknown tools | `unknown_tools`, scenarios `unknown_tool_raises`, `unknown_tool_told` |
//! | 13 | text beside a call is not final | `run`, scenario `text_and_tool` |
//! | 14b, 15 | what a tool's output ends | `tool_use`, scenarios `stop_on_first_tool`, `stop_at_tool` |
//! | 16, 17 | the tool choice after a call | `run`, scenarios `tool_choice_reset`, `tool_choice_kept` |
//! | 18, 19, 20 | ids that are missing or come again | here |
//! | 21, 23 | limits of turns | `limits`, scenario `max_turns` |
//! | 22 | an output in place of the limit | here, scenario `max_turns_handler` |
//! | 24 | disabled tools | `unknown_tools`, scenario `disabled_tool` |
//! | 25, 26, 28 | clashing names, outputs of parts, filters of requests | here |
//! | 27 | empty arguments | `run`, scenario `empty_arguments` |
//! | 29 to 38 | handoffs | here, scenarios `handoff*`, `two_handoffs_and_tool` |
//! | 39, 42 | late verdicts, outputs that are withheld | `guardrails`, scenario `output_guardrail_stops_tool` |
//! | 40, 41, 43, 44, 45 | guardrails | here, `guardrails`, scenarios `*guardrail*` |
//! | 46, 49 | typed outputs, wrapped and unwrapped | `typed_output`, scenario `structured_ok` |
//! | 47 | a wrong output | `typed_output`; replaced: here |
//! | 48, 51 | empty, cut and filtered outputs | here |
//! | 50 | refusals | `run`, scenarios `refusal`, `refusal_handler` |
//! | 52 | pieces of arguments | here, scenario `stream_tool` |
//! | 53, 55, 56 | reasoning, arguments before the name, calls that interleave | lines 2, 4 and 7 of `stream_golden.jsonl` |
//! | 54 | no usage | `run` |
//! | 57 to 60 | cancels, handoffs and hooks in order | here, `cancel`, scenarios `stream_handoff`, `hook_order` |
//! | 61, 64, 65, 66 | approvals | here, scenarios `approval_*` |
//! | 62, 63, 67, 68, 69 | approved and rejected calls, states that do not fit, nested agents | `run_state`, scenarios `approval_*` |
//! | 70 | states that the Python SDK saved | left out: the format is another |
//! | 71, 74 | sessions over several runs, and after errors | `session_runs`, scenarios `session_*` |
//! | 72, 73 | a history that is cut or changed | `session_runs` |
//! | 75, 77 | rows that cannot be read, many writers | `sessions`, `session_processes` |
//! | 76 | sessions of the other SDK | `tests/python_sdk.rs` |
//! | 78, 79, 80, 81 | retries, only those that were asked for | `retry`, scenarios `retry_429`, `bad_request_400` |
//! | 82 | extra fields and headers | `wire_requests` |
//! | 83 | images and files | `wire_requests`, scenario `multimodal_input` |
//! | 84, 85, 86 | names, errors and dead servers of MCP | `mcp_client`, `mcp_http` |

mod loop_and_tools;
mod handoffs;
mod guardrails;
mod structured_output;
mod streaming;
mod approvals;
