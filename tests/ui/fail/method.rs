use openai_agents::tool;

struct Station;

impl Station {
    /// Reads the temperature.
    #[tool]
    async fn temperature(&self, unit: String) -> String {
        unit
    }
}

fn main() {}
