use openai_agents::tool;

fn is_far(city: &str) -> bool {
    city != "Paris"
}

/// Books a journey.
#[tool(needs_approval = is_far)]
async fn book(city: String) -> String {
    city
}

/// Books a journey.
#[tool(needs_approval = 7)]
async fn book_always(city: String) -> String {
    city
}

fn main() {}
