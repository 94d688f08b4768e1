use openai_agents::tool;

/// Says something.
#[tool]
async fn say<T: ToString>(what: T) -> String {
    what.to_string()
}

fn main() {}
