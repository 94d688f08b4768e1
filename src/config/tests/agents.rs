//! The section `agents`.

use super::{load, settings, yaml};
use crate::ModelSettings;
use crate::config::{
    AgentToolConfig, ApprovalConfig, Config, GuardrailCheck, GuardrailConfig, Loader, ToolUseConfig,
};
use crate::guardrail::GuardrailTiming;
use crate::model::ToolChoice;

const FILE: &str = "agents:
  - name: Guide
    instructions: file:guide.md
    model: qwen3
    tools: [calculator, current_time]
    tool_use_behavior: { stop_at_tools: [calculator] }
    limits: { max_turns: 4, max_seconds: 30 }
    settings:
      temperature: 0.5
      top_p: 1
      max_tokens: 100
      tool_choice: calculator
      parallel_tool_calls: false
      frequency_penalty: -0.5
      presence_penalty: 0.25
      stop: [END]
      seed: -7
      reasoning_effort: low
      extra_body: { token: secret, deep: [1, 2.5, null, true] }
  - name: Plain
";

#[test]
fn an_agent_has_everything_the_file_says() {
    let config = load(
        Loader::new()
            .file("conf/a.yaml", FILE)
            .file("conf/guide.md", "You guide.\n")
            .config_file("--config", "conf/a.yaml"),
    );
    let [_, _, guide, plain] = config.agents() else {
        panic!("two agents were expected beside the two that always exist");
    };
    assert_eq!(guide.name, "Guide");
    assert_eq!(guide.instructions.as_deref(), Some("You guide.\n"));
    assert_eq!(guide.model.as_deref(), Some("qwen3"));
    assert_eq!(guide.tools, ["calculator", "current_time"]);
    assert_eq!(
        guide.tool_use,
        ToolUseConfig::StopAt(vec!["calculator".to_owned()])
    );
    assert_eq!(guide.limits.max_turns, Some(4));
    assert_eq!(guide.limits.max_seconds, Some(30));
    assert_eq!(guide.origin.to_string(), "conf/a.yaml:2");
    let extra_body = &guide.settings.extra_body;
    assert_eq!(
        guide.settings,
        ModelSettings {
            temperature: Some(0.5),
            top_p: Some(1.0),
            max_tokens: Some(100),
            tool_choice: Some(ToolChoice::Function("calculator".to_owned())),
            parallel_tool_calls: Some(false),
            frequency_penalty: Some(-0.5),
            presence_penalty: Some(0.25),
            stop: Some(vec!["END".to_owned()]),
            seed: Some(-7),
            reasoning_effort: Some("low".to_owned()),
            extra_body: extra_body.clone(),
            ..ModelSettings::default()
        }
    );
    assert_eq!(
        serde_json::Value::Object(extra_body.clone()),
        serde_json::json!({"token": "secret", "deep": [1, 2.5, null, true]})
    );
    assert_eq!(plain.name, "Plain");
    assert_eq!(plain.settings, ModelSettings::default());
    assert_eq!(plain.tool_use, ToolUseConfig::RunAgain);
    let shown = settings(&config).join("\n");
    assert!(
        shown.contains("agents[0].instructions = file:guide.md (11 characters) (conf/a.yaml:3)")
    );
    assert!(shown.contains("agents[0].settings.extra_body = (2 keys) (conf/a.yaml:19)"));
    assert!(!shown.contains("secret"));
}

#[test]
fn two_agents_always_exist_and_can_be_replaced() {
    let names = |loader: Loader| -> Vec<String> {
        let config = load(loader);
        let agents = config.agents().iter();
        agents
            .map(|agent| format!("{} ({})", agent.name, agent.origin))
            .collect()
    };
    assert_eq!(
        names(Loader::new()),
        ["Assistant (built in)", "EchoAgent (built in)"]
    );
    assert_eq!(
        names(yaml("agents: [{name: Assistant}, {name: B}]")),
        [
            "EchoAgent (built in)",
            "Assistant (./config.yaml:1)",
            "B (./config.yaml:1)"
        ]
    );
}

const TOGETHER: &str = "agents:
  - name: Triage
    handoffs: [Billing, Triage]
    handoff_description: Knows whom to ask.
    agents_as_tools: [Billing, {agent: Judge, name: judge, description: Judges.}]
    needs_approval: [judge]
    reset_tool_choice: false
    defer_tools: true
    output_schema: { type: object, properties: { a: { type: string } } }
    guardrails:
      input:
        - { max_chars: 9, timing: hold }
        - { name: no secrets, deny: [Password] }
        - { agent: Judge, timing: concurrent }
      output: [{ agent: Judge }]
    limits: { max_requests: 3 }
  - { name: Billing, needs_approval: always }
  - name: Judge
";

fn together() -> Config {
    load(
        yaml(TOGETHER)
            .variable("OPENAI_BASE_URL", "http://localhost:1/v1")
            .variable("OPENAI_MODEL", "m"),
    )
}

#[test]
fn an_agent_names_others() {
    let config = together();
    let [_, _, triage, billing, _] = config.agents() else {
        panic!("three agents were expected beside the two that always exist");
    };
    assert_eq!(triage.handoffs, ["Billing", "Triage"]);
    assert_eq!(
        triage.handoff_description.as_deref(),
        Some("Knows whom to ask.")
    );
    let tool = |agent: &str, name: Option<&str>, description: Option<&str>| AgentToolConfig {
        agent: agent.to_owned(),
        name: name.map(str::to_owned),
        description: description.map(str::to_owned),
    };
    assert_eq!(
        triage.agents_as_tools,
        [
            tool("Billing", None, None),
            tool("Judge", Some("judge"), Some("Judges."))
        ]
    );
    assert_eq!(
        triage.needs_approval,
        ApprovalConfig::Tools(vec!["judge".to_owned()])
    );
    assert_eq!(billing.needs_approval, ApprovalConfig::Always);
    assert!(!triage.reset_tool_choice);
    assert!(triage.defer_tools && !billing.defer_tools);
    assert!(billing.reset_tool_choice);
    assert_eq!(triage.limits.max_requests, Some(3));
    assert_eq!(triage.output_schema.as_ref().unwrap().len(), 2);
    config.check().unwrap();
    let agent = config.agent("Triage").unwrap();
    assert_eq!(agent.handoffs().collect::<Vec<_>>(), ["Billing", "Triage"]);
    assert!(agent.tools().get("billing").is_some());
    let shown = settings(&config).join("\n");
    assert!(
        shown.contains("agents[0].agents_as_tools[0] = Billing (./config.yaml:5)"),
        "{shown}"
    );
}

#[test]
fn an_agent_is_guarded() {
    let config = together();
    let triage = config.agent_config("Triage").unwrap();
    let guardrail = |name: &str, check, timing| GuardrailConfig {
        name: name.to_owned(),
        check,
        timing,
    };
    let judge = || GuardrailCheck::Agent("Judge".to_owned());
    assert_eq!(
        triage.input_guardrails,
        [
            guardrail(
                "max_chars",
                GuardrailCheck::MaxChars(9),
                GuardrailTiming::Hold
            ),
            guardrail(
                "no secrets",
                GuardrailCheck::Deny(vec!["Password".to_owned()]),
                GuardrailTiming::Blocking
            ),
            guardrail("Judge", judge(), GuardrailTiming::Concurrent),
        ]
    );
    assert_eq!(
        triage.output_guardrails,
        [guardrail("Judge", judge(), GuardrailTiming::Hold)]
    );
}
