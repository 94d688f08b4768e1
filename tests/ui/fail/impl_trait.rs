use openai_agents::tool;

/// Says something.
#[tool]
async fn say(what: impl ToString + Send) -> String {
    what.to_string()
}

fn main() {}
