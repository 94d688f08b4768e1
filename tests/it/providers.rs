//! Models by name: which provider gets which name.

use openai_agents::ErrorKind;
use openai_agents::model::{GptOssResponses, ModelError, OpenAiChat, Providers};
use openai_agents::testing::{FakeServer, ScriptedModel};
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
fn what_a_provider_refuses_is_its_own_error() {
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
            GptOssResponses::builder(&responses_url, name).build()
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
