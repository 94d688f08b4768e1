//! The tools, and the prompt, that ask the client.

use openai_agents::mcp::{
    ElicitationAnswer, ElicitationRequest, McpMessage, McpPrompt, McpPromptMessages,
    SamplingMessage, SamplingRequest,
};
use openai_agents::server::mcp::{McpCall, McpCallError};
use openai_agents::{FunctionTool, ToolContext, ToolOutput};
use serde_json::{Map, Value, json};

use crate::tools::{nothing, tool};
use crate::{BoxError, schemas, text};

pub(crate) fn all() -> Result<Vec<FunctionTool>, BoxError> {
    let mut tools = of_sessions()?;
    tools.extend(of_rounds()?);
    tools.extend(of_capabilities()?);
    for rest in ["request_state", "tampered_state"] {
        tools.push(confirming(&named(rest))?);
    }
    Ok(tools)
}

fn named(rest: &str) -> String {
    format!("test_input_required_result_{rest}")
}

/// What the suite asks of servers with sessions.
fn of_sessions() -> Result<Vec<FunctionTool>, BoxError> {
    let message = |what: &str| json!({"type": "object", "properties": {what: {"type": "string"}}, "required": [what]});
    Ok(vec![
        tool(
            "test_sampling",
            "Asks the model.",
            message("prompt"),
            async |cx, arguments| {
                let request =
                    SamplingRequest::new([SamplingMessage::user(text(&arguments, "prompt"))], 100);
                let answer = cx.state::<McpCall>()?.sample("answer", request).await?;
                Ok(format!("LLM response: {}", answer.text()).into())
            },
        )?,
        tool(
            "test_elicitation",
            "Asks the user.",
            message("message"),
            async |cx, arguments| {
                let request =
                    ElicitationRequest::form(text(&arguments, "message"), schemas::user());
                Ok(format!("User response: {}", answered(&cx, request).await?).into())
            },
        )?,
        tool(
            "test_elicitation_sep1034_defaults",
            "Asks with defaults.",
            nothing(),
            async |cx, _| {
                let request = ElicitationRequest::form("Please check.", schemas::defaults());
                Ok(format!("Elicitation completed: {}", answered(&cx, request).await?).into())
            },
        )?,
        tool(
            "test_elicitation_sep1330_enums",
            "Asks with choices.",
            nothing(),
            async |cx, _| {
                let request = ElicitationRequest::form("Please choose.", schemas::enums());
                Ok(format!("Elicitation completed: {}", answered(&cx, request).await?).into())
            },
        )?,
    ])
}

async fn answered(cx: &ToolContext, request: ElicitationRequest) -> Result<String, BoxError> {
    let answer = cx.state::<McpCall>()?.elicit("answer", request).await?;
    Ok(match answer {
        ElicitationAnswer::Accept { content } => {
            format!("action=accept, content={}", json!(content))
        }
        ElicitationAnswer::Decline => "action=decline, content={}".to_owned(),
        _ => "action=cancel, content={}".to_owned(),
    })
}

/// What the suite asks of servers without.
fn of_rounds() -> Result<Vec<FunctionTool>, BoxError> {
    Ok(vec![
        tool(
            &named("elicitation"),
            "Asks for a name.",
            nothing(),
            async |cx, _| Ok(format!("Hello, {}!", ask_name(cx.state()?).await?).into()),
        )?,
        tool(
            &named("sampling"),
            "Asks the model.",
            nothing(),
            async |cx, _| {
                let question = SamplingMessage::user("What is the capital of France?");
                let request = SamplingRequest::new([question], 100);
                let answer = cx
                    .state::<McpCall>()?
                    .sample("capital_question", request)
                    .await?;
                Ok(answer.text().into())
            },
        )?,
        tool(
            &named("list_roots"),
            "Asks for the roots.",
            nothing(),
            async |cx, _| {
                let roots = cx.state::<McpCall>()?.roots("client_roots").await?;
                let uris: Vec<_> = roots.into_iter().map(|root| root.uri).collect();
                Ok(format!("The roots: {}", uris.join(", ")).into())
            },
        )?,
        tool(
            &named("multiple_inputs"),
            "Asks for all.",
            nothing(),
            async |cx, _| ask_all(cx.state()?).await,
        )?,
        tool(
            &named("multi_round"),
            "Asks twice.",
            nothing(),
            async |cx, _| {
                let call: &McpCall = cx.state()?;
                let name = ask_text(call, "step1", "Step 1: What is your name?", "name").await?;
                let color = ask_text(
                    call,
                    "step2",
                    "Step 2: What is your favorite color?",
                    "color",
                )
                .await?;
                Ok(format!("{name} likes {color}.").into())
            },
        )?,
    ])
}

/// What the suite asks of servers whose clients cannot answer everything.
fn of_capabilities() -> Result<Vec<FunctionTool>, BoxError> {
    Ok(vec![
        tool(
            &named("capabilities"),
            "Asks what can be asked.",
            nothing(),
            async |cx, _| {
                let call: &McpCall = cx.state()?;
                if call.can_elicit() {
                    return Ok(ask_name(call).await?.into());
                }
                let request = SamplingRequest::new([SamplingMessage::user("Hello?")], 50);
                Ok(call.sample("greeting", request).await?.text().into())
            },
        )?,
        tool(
            "test_missing_capability",
            "Needs a model.",
            nothing(),
            async |cx, _| {
                let request = SamplingRequest::new([SamplingMessage::user("Hello?")], 50);
                Ok(cx
                    .state::<McpCall>()?
                    .sample("greeting", request)
                    .await?
                    .text()
                    .into())
            },
        )?,
        tool(
            "test_streaming_elicitation",
            "Asks for a name.",
            nothing(),
            async |cx, _| Ok(ask_name(cx.state()?).await?.into()),
        )?,
    ])
}

fn confirming(name: &str) -> Result<FunctionTool, BoxError> {
    tool(name, "Asks to confirm.", nothing(), async |cx, _| {
        let schema = json!({
            "type": "object",
            "properties": {"ok": {"type": "boolean"}},
            "required": ["ok"],
        });
        let request = ElicitationRequest::form("Please confirm", schema);
        cx.state::<McpCall>()?.elicit("confirm", request).await?;
        Ok("state-ok".into())
    })
}

async fn ask_all(call: &McpCall) -> Result<ToolOutput, BoxError> {
    let request = SamplingRequest::new([SamplingMessage::user("Generate a greeting")], 50);
    // Side by side, so that all are asked in one round.
    let (name, greeting, roots) = tokio::join!(
        ask_name(call),
        call.sample("greeting", request),
        call.roots("client_roots")
    );
    let (name, greeting, roots) = (name?, greeting?, roots?);
    Ok(format!(
        "{} {name}, you have {} roots.",
        greeting.text(),
        roots.len()
    )
    .into())
}

async fn ask_name(call: &McpCall) -> Result<String, McpCallError> {
    ask_text(call, "user_name", "What is your name?", "name").await
}

async fn ask_text(
    call: &McpCall,
    key: &str,
    question: &str,
    field: &str,
) -> Result<String, McpCallError> {
    let schema = json!({
        "type": "object",
        "properties": {field: {"type": "string"}},
        "required": [field],
    });
    let answer = call
        .elicit(key, ElicitationRequest::form(question, schema))
        .await?;
    Ok(match answer {
        ElicitationAnswer::Accept {
            content: Some(content),
        } => text(&content, field),
        _ => "nobody".to_owned(),
    })
}

pub(crate) fn prompt() -> McpPrompt {
    McpPrompt::new("test_input_required_result_prompt").description("A prompt that asks first.")
}

pub(crate) async fn fill_prompt(
    call: McpCall,
    _arguments: Map<String, Value>,
) -> Result<McpPromptMessages, BoxError> {
    let question = "What context should the prompt use?";
    let context = ask_text(&call, "user_context", question, "context").await?;
    let message = McpMessage::user(format!("The context is {context}."));
    Ok(McpPromptMessages::new([message]))
}
