mod vendored {
    pub use openai_agents as agents;
}

use vendored::agents::tool;

#[derive(Clone, Copy)]
struct Args;

/// Says hello, next to a type with the name of none of the macro's.
#[tool(crate = crate::vendored::agents)]
async fn hello(#[tool(default = "you")] whom: String) -> String {
    let _ = Args;
    format!("hello {whom}")
}

fn main() {
    let _ = hello;
}
