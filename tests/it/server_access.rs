//! Who may connect, and to what: nothing runs for anyone else.

use openai_agents::server::mcp::McpServer;
use openai_agents::server::{ServeError, Server, ServerBuildError};
use openai_agents::testing::ScriptedModel;
use openai_agents::{Agent, Runner};
use serde_json::json;
use tokio::net::TcpListener;

use crate::front::Front;

/// Every route, with a method and a body that it takes, and one that is not there.
const ROUTES: [(&str, &str, &str); 19] = [
    ("GET", "/healthz", ""),
    ("GET", "/metrics", ""),
    ("GET", "/openapi.json", ""),
    ("GET", "/v1/models", ""),
    ("GET", "/v1/models/Guide", ""),
    ("GET", "/v1/realtime?model=RealtimeAgent", ""),
    (
        "POST",
        "/v1/chat/completions",
        r#"{"model":"Guide","messages":[{"role":"user","content":"hi"}]}"#,
    ),
    ("POST", "/v1/responses", r#"{"model":"Guide","input":"hi"}"#),
    ("GET", "/v1/responses/resp_1", ""),
    ("DELETE", "/v1/responses/resp_1", ""),
    ("POST", "/v1/responses/resp_1/cancel", "{}"),
    ("POST", "/reload", ""),
    ("POST", "/run", r#"{"agent":"Guide","input":"hi"}"#),
    ("GET", "/events/s", ""),
    ("GET", "/status/s", ""),
    ("POST", "/cancel/s", "{}"),
    ("POST", "/approve/s", r#"{"approvals":[]}"#),
    ("POST", "/mcp", "{}"),
    ("GET", "/nothing", ""),
];

fn builder(model: &ScriptedModel) -> openai_agents::server::ServerBuilder {
    let agent = Agent::builder("Guide").build().unwrap();
    let runner = Runner::new(model.clone());
    let mcp = McpServer::builder(runner.clone())
        .agent(agent.clone())
        .build()
        .unwrap();
    Server::builder(runner).agent(agent).mcp(mcp)
}

#[tokio::test]
async fn foreign_names_and_pages_are_refused_on_every_route() {
    let model = ScriptedModel::new([]);
    let front = Front::start(builder(&model)).await;
    for (method, path, body) in ROUTES {
        for (line, code) in [
            ("host: evil.example", "forbidden_host"),
            ("origin: https://evil.example", "forbidden_origin"),
            ("origin: null", "forbidden_origin"),
            // Another program of this machine.
            ("origin: http://localhost:9999", "forbidden_origin"),
            ("origin: http://127.0.0.1", "forbidden_origin"),
        ] {
            let answer = front.ask(method, path, &[line], body).await;
            assert_eq!(
                answer.code(),
                (403, code.to_owned()),
                "{method} {path} {line}"
            );
        }
    }
    assert_eq!(model.requests().len(), 0);
    let own = format!("origin: http://{}", front.address);
    let answer = front.ask("GET", "/healthz", &[&own], "").await;
    assert_eq!(answer.json(), json!({"status": "ok"}));
    assert_eq!(answer.header("access-control-allow-origin"), None);
    let answer = front.get("/nothing").await;
    assert_eq!(answer.code(), (404, "not_found".to_owned()));
    let answer = front.ask("PUT", "/v1/models", &[], "").await;
    assert_eq!(answer.code(), (405, "method_not_allowed".to_owned()));
    assert_eq!(answer.header("allow"), Some("get,head"));
}

#[tokio::test]
async fn a_page_of_a_listed_origin_may_ask_and_read_on_every_route() {
    const ORIGIN: &str = "origin: https://page.example";
    let model = ScriptedModel::new([]);
    let server = builder(&model)
        .token("token-123")
        .allow_origin("https://page.example");
    let front = Front::start(server).await;
    for (method, path, _) in ROUTES {
        let method = format!("access-control-request-method: {method}");
        let asked = [
            &*method,
            "access-control-request-headers: authorization,content-type,x-stainless-lang",
            "access-control-request-private-network: true",
        ];
        let preflight = [&asked[..], &[ORIGIN]].concat();
        let answer = front.ask("OPTIONS", path, &preflight, "").await;
        assert_eq!(answer.status, 204, "{method} {path}");
        for (name, value) in [
            ("access-control-allow-origin", "https://page.example"),
            ("access-control-allow-methods", "get, post, delete"),
            (
                "access-control-allow-headers",
                "authorization,content-type,x-stainless-lang",
            ),
            ("access-control-allow-private-network", "true"),
            ("access-control-max-age", "600"),
            ("vary", "origin"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{method} {path} {name}");
        }
        let foreign = [&asked[..], &["origin: http://localhost:9999"]].concat();
        let answer = front.ask("OPTIONS", path, &foreign, "").await;
        assert_eq!(answer.code(), (403, "forbidden_origin".to_owned()));
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    let lines = ["authorization: Bearer token-123", ORIGIN];
    for path in ["/v1/models", "/nothing", "/mcp"] {
        let answer = front.ask("GET", path, &lines, "").await;
        let allowed = answer.header("access-control-allow-origin");
        assert_eq!(allowed, Some("https://page.example"), "{path}");
        assert_eq!(answer.header("vary"), Some("origin"), "{path}");
    }
    let answer = front.ask("GET", "/healthz", &[], "").await;
    assert_eq!(answer.header("access-control-allow-origin"), None);
    assert_eq!(answer.header("vary"), Some("origin"));
    for wrong in ["*", "https://page.example/", "page.example"] {
        let origin = wrong.to_owned();
        assert_eq!(
            builder(&model).allow_origin(wrong).build().err(),
            Some(ServerBuildError::Origin { origin })
        );
    }
}

#[tokio::test]
async fn without_the_token_only_the_health_is_told() {
    let model = ScriptedModel::new([]);
    let front = Front::start(builder(&model).token("token-123")).await;
    for (method, path, body) in ROUTES {
        for headers in [&[][..], &["authorization: Bearer token-124"]] {
            let path = format!("{path}?token=token-123&api_key=token-123");
            let answer = front.ask(method, &path, headers, body).await;
            if path.starts_with("/healthz") {
                assert_eq!(answer.status, 200);
            } else {
                assert_eq!(
                    answer.code(),
                    (401, "invalid_api_key".to_owned()),
                    "{method} {path}"
                );
                assert_eq!(answer.header("www-authenticate"), Some("bearer"));
                assert!(!answer.body.contains("token-12"));
            }
        }
    }
    assert_eq!(model.requests().len(), 0);
    let answer = front
        .ask(
            "GET",
            "/v1/models",
            &["authorization: Bearer token-123"],
            "",
        )
        .await;
    let models = answer.json();
    assert_eq!(models["object"], "list");
    assert_eq!(models["data"][0]["id"], "Guide");
    assert!(!format!("{:?}", front.server).contains("token-123"));
}

#[tokio::test]
async fn another_address_than_loopback_needs_a_token() {
    let model = ScriptedModel::new([]);
    let listener = TcpListener::bind(("0.0.0.0", 0)).await.unwrap();
    let server = builder(&model).build().unwrap();
    let error = server
        .serve(listener, std::future::pending())
        .await
        .unwrap_err();
    assert!(matches!(error, ServeError::NoToken { .. }), "{error:?}");
    for token in ["", "two words", "line\nbreak", "umläut"] {
        assert_eq!(
            builder(&model).token(token).build().err(),
            Some(ServerBuildError::Token)
        );
    }
    let twice = builder(&model)
        .agent(Agent::builder("Guide").build().unwrap())
        .build();
    let clash = ServerBuildError::AgentClash {
        agent: "Guide".to_owned(),
    };
    assert_eq!(twice.err(), Some(clash));
}
