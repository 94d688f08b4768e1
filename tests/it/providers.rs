//! Models by name: which provider gets which name.

use std::sync::{Arc, Mutex};

use openai_agents::ErrorKind;
use openai_agents::model::{ModelError, OpenAiChat, OpenAiResponses, Providers};
use openai_agents::testing::{FakeServer, ScriptedModel, ScriptedTurn};
use openai_agents::{Agent, Runner};

use crate::support::{SAYS_DONE, bodies, response, whole_text};

type Provided = Result<OpenAiChat, ModelError>;

/// A provider whose models tell whose they are.
fn provider(whose: &'static str) -> impl Fn(&str) -> Provided + Send + Sync {
    move |name| OpenAiChat::builder("http://127.0.0.1:9/v1", format!("{whose}:{name}")).build()
}

fn registry() -> Providers {
    Providers::new()
        .with_default(provider("default"))
        .with("cloud", provider("cloud"))
        .unwrap()
        .with("litellm", provider("litellm"))
        .unwrap()
}

#[test]
fn only_a_registered_prefix_is_a_prefix() {
    for (name, gets) in [
        ("gpt-5", "default:gpt-5"),
        ("cloud/gpt-5", "cloud:gpt-5"),
        // The rest is the name, slashes and all.
        ("litellm/anthropic/claude", "litellm:anthropic/claude"),
        ("cloud/cloud/x", "cloud:cloud/x"),
        // No one registered these, so they are part of the name.
        ("openai/gpt-oss-120b", "default:openai/gpt-oss-120b"),
        (
            "meta-llama/Llama-3.3-70B",
            "default:meta-llama/Llama-3.3-70B",
        ),
        // Nothing is guessed: neither by case, nor by a beginning, nor without the slash.
        ("Cloud/x", "default:Cloud/x"),
        ("cloudy/x", "default:cloudy/x"),
        ("cloud", "default:cloud"),
        ("/x", "default:/x"),
    ] {
        assert_eq!(registry().model(name).unwrap().name(), gets);
    }
}

#[test]
fn a_name_that_no_one_provides_is_an_error() {
    let providers = Providers::new()
        .with("cloud", provider("cloud"))
        .unwrap()
        .with("box", provider("box"))
        .unwrap();
    let error = providers.model("openai/gpt-5").err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(
        error.to_string(),
        r#"no provider is registered for the model "openai/gpt-5" (registered: box, cloud)"#
    );
}

#[test]
fn provider_error_is_passed_on() {
    // A prefix without a name behind it is the provider's empty name.
    let providers = Providers::new()
        .with("cloud", |name: &str| {
            OpenAiChat::builder("http://127.0.0.1:9/v1", name).build()
        })
        .unwrap();
    let error = providers.model("cloud/").err().unwrap();
    let own = OpenAiChat::builder("http://127.0.0.1:9/v1", "").build();
    assert_eq!(error.to_string(), own.unwrap_err().to_string());
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[test]
fn a_prefix_is_one_word_and_registered_once() {
    for (prefix, says) in [
        (
            "",
            r#""" cannot be a provider's prefix: it is empty or has a slash"#,
        ),
        (
            "a/b",
            r#""a/b" cannot be a provider's prefix: it is empty or has a slash"#,
        ),
        ("cloud", r#"two providers are registered under "cloud""#),
    ] {
        let error = registry().with(prefix, provider("x")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(error.to_string(), says);
    }
}

/// Providers of different kinds side by side; each model goes to its own server by its own API.
#[tokio::test]
async fn a_run_goes_where_its_models_name_says() {
    let chat = FakeServer::start([whole_text("done")]).await.unwrap();
    let responses = FakeServer::start([response("resp_1", &[SAYS_DONE])])
        .await
        .unwrap();
    let (chat_url, responses_url) = (chat.url(), responses.url());
    let providers = Providers::new()
        .with_default(move |name: &str| OpenAiChat::builder(&chat_url, name).build())
        .with("oss", move |name: &str| {
            OpenAiResponses::builder(&responses_url, name).build()
        })
        .unwrap()
        .with("script", |_: &str| Ok(ScriptedModel::text("done")))
        .unwrap();
    for name in ["openai/gpt-oss-20b", "oss/openai/gpt-oss-20b", "script/any"] {
        let agent = Agent::builder("A").shared_model(providers.model(name).unwrap());
        // The runner's own model is not asked.
        let runner = Runner::new(ScriptedModel::text("not this"));
        let result = runner.run(&agent.build().unwrap(), "go").await.unwrap();
        assert_eq!(result.final_output(), "done");
    }
    for (server, path) in [(&chat, "/chat/completions"), (&responses, "/responses")] {
        assert_eq!(bodies(server)[0]["model"], "openai/gpt-oss-20b");
        assert_eq!(server.requests()[0].path, path);
    }
}

#[test]
fn a_registry_shows_its_prefixes() {
    assert_eq!(
        format!("{:?}", registry()),
        r#"Providers { prefixes: ["cloud", "litellm"], has_default: true }"#
    );
}

/// A provider of models that answer with their names, and how often each name was asked for.
fn naming() -> (Providers, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&asked);
    let provider = move |name: &str| {
        notes.lock().unwrap().push(name.to_owned());
        if name == "gone" {
            return Err(ModelError::new(ErrorKind::Config, "there is no such model"));
        }
        Ok(answering(name))
    };
    (Providers::new().with_default(provider), asked)
}

/// A model that answers with its name, as often as it is asked.
fn answering(name: &str) -> ScriptedModel {
    ScriptedModel::new((0..9).map(|_| ScriptedTurn::text(name)))
}

#[tokio::test]
async fn an_agents_model_is_found_by_its_name_once() {
    let (providers, asked) = naming();
    let agent = Agent::builder("A").model_name("big").build().unwrap();
    assert_eq!(
        (agent.model_name(), agent.model().is_none()),
        (Some("big"), true)
    );
    let runner = Runner::new(answering("runner's")).providers(providers);
    for _ in 0..2 {
        let result = runner.run(&agent, "go").await.unwrap();
        assert_eq!(result.final_output(), "big");
    }
    assert_eq!(*asked.lock().unwrap(), ["big"]);
}

#[tokio::test]
async fn a_model_that_nobody_provides_ends_the_run_before_anything_is_asked() {
    let (providers, _) = naming();
    let gone = Agent::builder("Gone").model_name("gone").build().unwrap();
    let first = Agent::builder("First").handoff(&gone).build().unwrap();
    let model = answering("runner's");
    for (runner, message) in [
        (
            Runner::new(model.clone()).providers(providers),
            "there is no such model",
        ),
        (
            Runner::new(model.clone()),
            "no provider is registered for the model \"gone\" (registered: )",
        ),
    ] {
        let error = runner.run(&first, "go").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(error.to_string(), message);
    }
    assert_eq!(model.requests().len(), 0);
}

#[tokio::test]
async fn the_model_of_a_run_stands_in_for_every_agents_own() {
    let calls_inner = ScriptedTurn::tool_call("inner", serde_json::json!({ "input": "x" }));
    let hands_off = ScriptedTurn::tool_call("transfer_to_second", serde_json::json!({}));
    let inner = Agent::builder("Inner")
        .model(answering("inner's"))
        .build()
        .unwrap();
    let second = Agent::builder("Second")
        .model(answering("second's"))
        .build()
        .unwrap();
    let first = Agent::builder("First")
        .model(answering("first's"))
        .tool(inner.as_tool("Asks the inner agent."))
        .handoff(&second)
        .build()
        .unwrap();
    let script = [
        calls_inner,
        ScriptedTurn::text("run's"),
        hands_off,
        ScriptedTurn::text("run's"),
    ];
    let model = ScriptedModel::new(script);
    let runner = Runner::new(answering("runner's"));
    let result = runner.run(&first, "go").model(model.clone()).await.unwrap();
    assert_eq!(result.final_output(), "run's");
    assert_eq!(model.requests().len(), 4);
    // By name, for all runs of a runner; a run may choose another.
    let (providers, _) = naming();
    let runner = runner.providers(providers).model_name("big");
    assert_eq!(
        runner.run(&first, "go").await.unwrap().final_output(),
        "big"
    );
    let request = runner.run(&first, "go").model_name("small");
    assert_eq!(request.await.unwrap().final_output(), "small");
}
