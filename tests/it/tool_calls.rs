//! What belongs to a tool call holds on every path that leads to one.

mod paths;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use openai_agents::tools::{ToolFailure, ToolGuardrail, ToolOptions, ToolOutput, ToolVerdict};
use openai_agents::{ErrorKind, FunctionTool, ToolContext};
use serde_json::json;

use self::paths::{Path, take};

const FAILED: &str = "An error occurred while running the tool. Please try again.";
const ARGUMENTS: &str = r#"{"n":1}"#;

/// What follows from a call.
#[derive(Debug, PartialEq)]
pub(crate) enum Followed {
    /// The model, or the client, is told this, and whatever made the call goes on.
    Told(String),
    /// Whatever made the call ends.
    Ended(ErrorKind),
}

/// One thing that belongs to a call.
struct Rule {
    name: &'static str,
    arguments: &'static str,
    tool: fn(FunctionTool) -> FunctionTool,
    options: fn() -> ToolOptions,
    does: Does,
    follows: Follows,
    n_calls: usize,
}

/// What the tool does when it is called.
#[derive(Clone, Copy)]
enum Does {
    Answer,
    Fail,
    Panic,
    Hang,
    Talk,
    LackState,
}

#[derive(Clone, Copy)]
enum Follows {
    Told(&'static str),
    Ended(ErrorKind),
}

struct Database;

fn tool(rule: &Rule) -> (FunctionTool, Arc<AtomicUsize>) {
    let n_calls: Arc<AtomicUsize> = Arc::default();
    let (counter, does) = (Arc::clone(&n_calls), rule.does);
    let properties = json!({"n": {"type": "integer"}});
    let schema = json!({"type": "object", "properties": properties, "required": ["n"]});
    let call = move |cx: ToolContext, _| {
        counter.fetch_add(1, Ordering::SeqCst);
        async move {
            match does {
                Does::Answer => Ok("fine".to_owned()),
                Does::Fail => Err("secret 42".to_owned()),
                Does::Panic => panic!("secret 42"),
                Does::Hang => std::future::pending().await,
                Does::Talk => Ok("x".repeat(200)),
                Does::LackState => match cx.state::<Database>() {
                    Ok(_) => Ok("there".to_owned()),
                    Err(error) => Err(error.to_string()),
                },
            }
        }
    };
    let tool = FunctionTool::dynamic("t", "For a test.", schema, (rule.options)(), call).unwrap();
    ((rule.tool)(tool), n_calls)
}

fn input(verdict: fn() -> ToolVerdict) -> ToolGuardrail {
    ToolGuardrail::new("input", move |_| async move { Ok::<_, String>(verdict()) })
}

/// Rejects every text with a secret.
fn discreet() -> ToolGuardrail {
    ToolGuardrail::new("discreet", async |call| {
        let text = call.output.as_ref().map(ToolOutput::to_json);
        let is_secret = text.is_some_and(|text| text.to_string().contains("secret"));
        Ok::<_, String>(if is_secret {
            ToolVerdict::reject("withheld")
        } else {
            ToolVerdict::Allow
        })
    })
}

const RULE: Rule = Rule {
    name: "a call",
    arguments: ARGUMENTS,
    tool: |tool| tool,
    options: ToolOptions::default,
    does: Does::Answer,
    follows: Follows::Told("fine"),
    n_calls: 1,
};

/// The rules about who may call, with what.
const BEFORE: [Rule; 7] = [
    RULE,
    Rule {
        name: "approval",
        tool: FunctionTool::needs_approval,
        follows: Follows::Ended(ErrorKind::ApprovalRequired),
        n_calls: 0,
        ..RULE
    },
    Rule {
        name: "an input guardrail rejects",
        tool: |tool| tool.input_guardrail(input(|| ToolVerdict::reject("not that"))),
        follows: Follows::Told("not that"),
        n_calls: 0,
        ..RULE
    },
    Rule {
        name: "an input guardrail rejects before anyone is asked to approve",
        tool: |tool| {
            let guarded = tool.input_guardrail(input(|| ToolVerdict::reject("not that")));
            guarded.needs_approval()
        },
        follows: Follows::Told("not that"),
        n_calls: 0,
        ..RULE
    },
    Rule {
        name: "an input guardrail trips",
        tool: |tool| tool.input_guardrail(input(|| ToolVerdict::trip("no"))),
        follows: Follows::Ended(ErrorKind::GuardrailTripped),
        n_calls: 0,
        ..RULE
    },
    Rule {
        name: "arguments that do not fit",
        arguments: r#"{"n":1,"m":2}"#,
        follows: Follows::Told("bad arguments for tool `t`: unknown field `m`, expected `n`"),
        n_calls: 0,
        ..RULE
    },
    Rule {
        name: "a disabled tool",
        tool: |tool| tool.enabled_if(|_| false),
        follows: Follows::Ended(ErrorKind::DisabledTool),
        n_calls: 0,
        ..RULE
    },
];

/// The rules about what is told of a call.
const AFTER: [Rule; 12] = [
    Rule {
        name: "an output guardrail rejects",
        tool: |tool| {
            tool.output_guardrail(ToolGuardrail::new("never", async |_| {
                Ok::<_, String>(ToolVerdict::reject("withheld"))
            }))
        },
        follows: Follows::Told("withheld"),
        ..RULE
    },
    Rule {
        name: "a time-out",
        options: || ToolOptions::default().timeout(Duration::from_millis(5)),
        does: Does::Hang,
        follows: Follows::Told("Tool 't' timed out after 0.005 seconds."),
        ..RULE
    },
    Rule {
        name: "a panic",
        does: Does::Panic,
        follows: Follows::Told(FAILED),
        ..RULE
    },
    Rule {
        name: "a failure",
        does: Does::Fail,
        follows: Follows::Told(FAILED),
        ..RULE
    },
    Rule {
        name: "a failure in detail",
        options: || ToolOptions::default().failure(ToolFailure::TellModelDetail),
        does: Does::Fail,
        follows: Follows::Told("tool `t` failed: secret 42"),
        ..RULE
    },
    Rule {
        name: "a failure in words of the application",
        tool: |tool| tool.failure_text(|cx, error| format!("{}: {error}!", cx.call_id().len())),
        does: Does::Panic,
        follows: Follows::Told("2: tool `t` panicked: secret 42!"),
        ..RULE
    },
    Rule {
        name: "a failure that is raised",
        options: || ToolOptions::default().failure(ToolFailure::Raise),
        does: Does::Fail,
        follows: Follows::Ended(ErrorKind::ToolFailed),
        ..RULE
    },
    Rule {
        name: "an output guardrail sees a failure",
        options: || ToolOptions::default().failure(ToolFailure::TellModelDetail),
        tool: |tool| tool.output_guardrail(discreet()),
        does: Does::Fail,
        follows: Follows::Told("withheld"),
        ..RULE
    },
    Rule {
        name: "an output guardrail sees a time-out",
        options: || ToolOptions::default().timeout(Duration::from_millis(5)),
        tool: |tool| {
            tool.output_guardrail(ToolGuardrail::new("times", async |call| {
                let failure = call.failure.unwrap_or_default();
                Ok::<_, String>(ToolVerdict::reject(format!("seen: {failure}")))
            }))
        },
        does: Does::Hang,
        follows: Follows::Told("seen: tool `t` timed out after 5ms"),
        ..RULE
    },
    Rule {
        name: "an output that is too large",
        options: || {
            let options = ToolOptions::default().max_output_bytes(100);
            options.failure(ToolFailure::TellModelDetail)
        },
        does: Does::Talk,
        follows: Follows::Told("the output of tool `t` has 200 bytes, at most 100 are allowed"),
        ..RULE
    },
    Rule {
        name: "a failure that is too long",
        options: || {
            let options = ToolOptions::default().max_output_bytes(10);
            options.failure(ToolFailure::TellModelDetail)
        },
        does: Does::Fail,
        follows: Follows::Told(FAILED),
        ..RULE
    },
    Rule {
        name: "state that was not given",
        does: Does::LackState,
        follows: Follows::Ended(ErrorKind::Config),
        ..RULE
    },
];

async fn check(rule: &Rule) {
    for path in Path::ALL {
        let (tool, n_calls) = tool(rule);
        let followed = take(path, tool, rule.arguments).await;
        let expect = match rule.follows {
            // Our client's ids are numbers; those of models have two letters here.
            Follows::Told(text) if path.is_of_client() => {
                Followed::Told(text.replace("2: ", "1: "))
            }
            Follows::Told(text) => Followed::Told(text.to_owned()),
            Follows::Ended(kind) => Followed::Ended(kind),
        };
        assert_eq!(followed, expect, "{}, {path:?}", rule.name);
        let n_calls = n_calls.load(Ordering::SeqCst);
        assert_eq!(n_calls, rule.n_calls, "{}, {path:?}", rule.name);
    }
}

#[tokio::test]
async fn call_on_every_path_is_made_only_if_it_may_be() {
    for rule in BEFORE {
        check(&rule).await;
    }
}

#[tokio::test]
async fn call_on_every_path_ends_as_its_tool_says() {
    for rule in AFTER {
        check(&rule).await;
    }
}
