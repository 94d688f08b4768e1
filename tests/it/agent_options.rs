//! Options of agents and runs that no other subject has: output by a tool, asking again, the last turn, computed instructions, stored
//! prompts, and hooks that fail.

use openai_agents::agent::runner::{InvalidOutput, LastTurn};
use openai_agents::agent::{HookResult, Hooks, ModelInputFilter, OutputMode};
use openai_agents::context::MissingState;
use openai_agents::model::{Prompt, ToolChoice};
use openai_agents::testing::{FakeServer, ScriptedModel, ScriptedTurn};
use openai_agents::{Agent, ErrorKind, Limits, Runner, ToolContext};
use serde_json::json;

use crate::support::{
    SAYS_DONE, bodies, call, chat, instant, offered, output, response, responses,
};

#[derive(Debug, PartialEq, serde::Deserialize, schemars::JsonSchema)]
struct TitledReport {
    title: String,
    n: u32,
}

const GOOD: &str = r#"{"title":"a","n":1}"#;

fn report() -> TitledReport {
    serde_json::from_str(GOOD).unwrap()
}

#[tokio::test]
async fn an_output_by_a_tool_ends_the_run_after_the_other_calls() {
    let agent = Agent::builder("A")
        .tool(instant("look", "wet"))
        .output_by::<TitledReport>(OutputMode::Tool)
        .build()
        .unwrap();
    let model = ScriptedModel::new([
        ScriptedTurn::items([call("c1", "look", "{}")]),
        ScriptedTurn::items([call("c2", "final_output", GOOD), call("c3", "look", "{}")]),
    ]);
    let result = Runner::new(model.clone()).run(&agent, "go").await.unwrap();
    assert_eq!(result.output::<TitledReport>().unwrap(), report());
    let taken = "The final answer was taken.";
    assert_eq!(
        result.items()[4..],
        [output("c2", taken), output("c3", "wet")]
    );
    for request in model.requests() {
        assert_eq!(offered(&request), ["look", "final_output"]);
        // In every turn, not only in the first.
        assert_eq!(request.settings.tool_choice, Some(ToolChoice::Required));
        assert!(request.output.is_none());
    }
}

#[tokio::test]
async fn a_wrong_output_by_a_tool_is_an_error_or_is_told() {
    let agent = Agent::builder("A")
        .output_by::<TitledReport>(OutputMode::Tool)
        .build()
        .unwrap();
    let script = || {
        ScriptedModel::new([
            ScriptedTurn::items([call("c1", "final_output", r#"{"title":1}"#)]),
            ScriptedTurn::items([call("c2", "final_output", GOOD)]),
        ])
    };
    let error = Runner::new(script()).run(&agent, "go").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOutput);
    let model = script();
    let result = Runner::new(model.clone())
        .invalid_output(InvalidOutput::AskAgain { max: 1 })
        .run(&agent, "go")
        .await
        .unwrap();
    assert_eq!(result.output::<TitledReport>().unwrap(), report());
    let told = model.requests()[1].items[2].to_json().to_owned();
    assert!(
        told.contains("function_call_output") && told.contains("invalid type"),
        "{told}"
    );
}

#[tokio::test]
async fn a_model_is_asked_again_as_often_as_was_said() {
    let agent = Agent::builder("A")
        .output::<TitledReport>()
        .build()
        .unwrap();
    for (n_bad, max, is_ok) in [(1, 1, true), (2, 2, true), (2, 1, false), (1, 0, false)] {
        let bad = |n| {
            if n == 0 {
                ScriptedTurn::text("Sure: {}")
            } else {
                // Nothing at all is asked about, too.
                ScriptedTurn::items([])
            }
        };
        let script = (0..n_bad).map(bad).chain([ScriptedTurn::text(GOOD)]);
        let model = ScriptedModel::new(script);
        let result = Runner::new(model.clone())
            .run(&agent, "go")
            .invalid_output(InvalidOutput::AskAgain { max })
            .await;
        assert_eq!(result.is_ok(), is_ok, "{n_bad} {max}");
        let n_asked = if is_ok { n_bad + 1 } else { max as usize + 1 };
        assert_eq!(model.requests().len(), n_asked);
        if let Ok(result) = result {
            assert_eq!(result.output::<TitledReport>().unwrap(), report());
        }
    }
}

#[tokio::test]
async fn the_last_turn_can_be_without_tools() {
    let agent = Agent::builder("A")
        .tool(instant("look", "wet"))
        .build()
        .unwrap();
    let looks = || ScriptedTurn::items([call("c1", "look", "{}")]);
    let model = ScriptedModel::new([looks(), ScriptedTurn::text("wet, I think")]);
    let runner = |model| {
        Runner::new(model)
            .limits(Limits::turns(2))
            .last_turn(LastTurn::WithoutTools)
    };
    let result = runner(model.clone()).run(&agent, "go").await.unwrap();
    assert_eq!(result.final_output(), "wet, I think");
    let requests = model.requests();
    assert_eq!(offered(&requests[0]), ["look"]);
    assert_eq!(offered(&requests[1]), [""; 0]);
    // A model that calls all the same has used its turns.
    let error = runner(ScriptedModel::new([looks(), looks()]))
        .run(&agent, "go")
        .await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::MaxTurns);
}

struct User(&'static str);

#[tokio::test]
async fn instructions_are_computed_before_each_request() {
    let agent = Agent::builder("A")
        .tool(instant("look", "wet"))
        .instructions_from(async |cx, agent| {
            let (name, n) = (cx.state::<User>()?.0, cx.usage().requests);
            Ok::<_, MissingState>(format!("{} helps {name} ({n}).", agent.name()))
        })
        .build()
        .unwrap();
    let script = || {
        ScriptedModel::new([
            ScriptedTurn::items([call("c1", "look", "{}")]),
            ScriptedTurn::text("done"),
        ])
    };
    let model = script();
    Runner::new(model.clone())
        .state(User("Ada"))
        .run(&agent, "go")
        .await
        .unwrap();
    let told: Vec<_> = model
        .requests()
        .iter()
        .map(|request| request.instructions.clone())
        .collect();
    assert_eq!(
        told,
        [
            Some("A helps Ada (0).".into()),
            Some("A helps Ada (1).".into())
        ]
    );

    let model = script();
    let error = Runner::new(model.clone())
        .run(&agent, "go")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CallbackFailed);
    assert_eq!(error.to_string(), "the instructions of agent `A` failed");
    assert_eq!(model.requests().len(), 0);
}

#[tokio::test]
async fn a_stored_prompt_goes_to_the_responses_api_only() {
    let prompt = Prompt::new("pmpt_1").version("3").variable("city", "Paris");
    let agent = Agent::builder("A").prompt(prompt).build().unwrap();
    let server = FakeServer::start([response("r1", &[SAYS_DONE])])
        .await
        .unwrap();
    Runner::new(responses(&server))
        .run(&agent, "go")
        .await
        .unwrap();
    assert_eq!(
        bodies(&server)[0]["prompt"],
        json!({ "id": "pmpt_1", "version": "3", "variables": { "city": "Paris" } })
    );
    let server = FakeServer::start([]).await.unwrap();
    let error = Runner::new(chat(&server))
        .run(&agent, "go")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(server.requests().len(), 0);
}

/// Fails at one moment.
struct FailsAt(&'static str);

impl FailsAt {
    async fn at(&self, moment: &'static str) -> HookResult {
        tokio::task::yield_now().await;
        if self.0 == moment {
            Err("out of order".into())
        } else {
            Ok(())
        }
    }
}

impl Hooks for FailsAt {
    async fn on_agent_start(&self, _: &openai_agents::RunContext, _: &Agent) -> HookResult {
        self.at("on_agent_start").await
    }

    async fn on_model_end(
        &self,
        _: &openai_agents::RunContext,
        _: &Agent,
        _: &openai_agents::model::ModelResponse,
    ) -> HookResult {
        self.at("on_model_end").await
    }

    async fn on_tool_start(&self, _: &ToolContext) -> HookResult {
        self.at("on_tool_start").await
    }

    async fn on_agent_end(&self, _: &openai_agents::RunContext, _: &Agent, _: &str) -> HookResult {
        self.at("on_agent_end").await
    }
}

#[tokio::test]
async fn a_hook_that_fails_ends_the_run() {
    for moment in [
        "on_agent_start",
        "on_model_end",
        "on_tool_start",
        "on_agent_end",
    ] {
        let agent = Agent::builder("A")
            .tool(instant("look", "wet"))
            .hooks(FailsAt(moment))
            .build()
            .unwrap();
        let runner = Runner::new(ScriptedModel::new([
            ScriptedTurn::items([call("c1", "look", "{}")]),
            ScriptedTurn::text("done"),
        ]));
        let error = runner.run(&agent, "go").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CallbackFailed, "{moment}");
        assert!(
            error.to_string().contains(&format!("the hook {moment}")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_filter_of_requests_that_fails_ends_the_run() {
    let filter = ModelInputFilter::new(async |_| Err("no filter"));
    let agent = Agent::builder("A").build().unwrap();
    let model = ScriptedModel::text("x");
    let request = Runner::new(model.clone())
        .run(&agent, "go")
        .model_input_filter(filter);
    assert_eq!(request.await.unwrap_err().kind(), ErrorKind::CallbackFailed);
    assert_eq!(model.requests().len(), 0);
}

#[tokio::test]
async fn an_agent_is_made_of_another_and_leaves_it_as_it_was() {
    let other = Agent::builder("Other")
        .handoff_description("Knows more.")
        .build()
        .unwrap();
    let first = Agent::builder("First")
        .instructions("Be brief.")
        .tool(instant("look", "wet"))
        .handoff(&other)
        .output::<TitledReport>()
        .keep_tool_choice()
        .build()
        .unwrap();
    let same = first.to_builder().build().unwrap();
    let more = first
        .to_builder()
        .name("More")
        .tool(instant("listen", "hush"));
    let bare = more
        .without_tools()
        .without_handoffs()
        .text_output()
        .tool(instant("smell", "rose"));
    let bare = bare.instructions("Be long.").build().unwrap();
    let model = ScriptedModel::new([
        ScriptedTurn::text(GOOD),
        ScriptedTurn::text(GOOD),
        ScriptedTurn::text("free"),
    ]);
    let runner = Runner::new(model.clone());
    for agent in [&first, &same, &bare] {
        runner.run(agent, "go").await.unwrap();
    }
    let [one, two, three] = &model.requests()[..] else {
        panic!()
    };
    assert_eq!(offered(one), ["look", "transfer_to_other"]);
    assert_eq!(
        (offered(one), &one.output, &one.instructions),
        (offered(two), &two.output, &two.instructions)
    );
    assert_eq!((offered(three), &three.output), (vec!["smell"], &None));
    assert_eq!(
        (bare.name(), three.instructions.as_deref()),
        ("More", Some("Be long."))
    );
    // A tool that is there cannot be added again.
    assert!(
        first
            .to_builder()
            .tool(instant("look", "dry"))
            .build()
            .is_err()
    );
}
