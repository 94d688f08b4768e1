use openai_agents::tool;

/// Says hello.
#[tool(title = "Hello")]
async fn hello() -> String {
    "hello".to_owned()
}

/// Says hello.
#[tool(failure = ignore)]
async fn ignored() -> String {
    "hello".to_owned()
}

/// Says hello.
#[tool(name = "say hello")]
async fn misnamed() -> String {
    "hello".to_owned()
}

fn main() {}
