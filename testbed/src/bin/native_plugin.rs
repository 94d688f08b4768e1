//! Loads shared libraries as plugins, calls each of their tools, and ends them, for valgrind to watch: `native_plugin FILE..`.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;
use std::{env, fs, thread};

use openai_agents::plugin::{PluginSearch, PluginTrust};
use openai_agents::{FunctionTool, RunContext, ToolContext};

/// What the tools of the SDK's examples take between them; each takes what it knows and refuses the rest.
const ARGUMENTS: [&str; 3] = [
    r#"{"text": "one two"}"#,
    r#"{"text": "one two", "limit": 1, "position": 2, "mib": 1, "argument": "x"}"#,
    "{}",
];
/// It never comes back.
const ENDLESS: &str = "loops";

fn main() -> Result<(), Box<dyn Error>> {
    let files: Vec<PathBuf> = env::args_os().skip(1).map(Into::into).collect();
    if files.is_empty() {
        return Err("usage: native_plugin FILE..".into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let n_calls = runtime.block_on(call_all(&files))?;
    drop(runtime);
    // A library is told to end on a thread of its own, which ends after that.
    while fs::read_dir("/proc/self/task")?.count() > 1 {
        thread::sleep(Duration::from_millis(1));
    }
    #[expect(clippy::print_stdout, reason = "whoever reads this counts")]
    {
        println!("{n_calls} calls");
    }
    Ok(())
}

async fn call_all(files: &[PathBuf]) -> Result<usize, Box<dyn Error>> {
    let data = env::temp_dir();
    let trust = PluginTrust::read(data.join("openai-agents-no-trust.json"))?;
    let plugins = PluginSearch::new(&data, &trust).named(files).find()?;
    let mut n_calls = 0;
    for found in plugins.found() {
        let plugin = found.plugin.as_ref().map_err(ToString::to_string)?;
        for module in plugin.module_tools() {
            let tools = module.state().await.map_err(|error| error.to_string())?;
            for tool in tools.iter().filter(|tool| tool.name().as_str() != ENDLESS) {
                for arguments in ARGUMENTS {
                    call(tool, arguments).await;
                    n_calls += 1;
                }
            }
        }
    }
    Ok(n_calls)
}

async fn call(tool: &FunctionTool, arguments: &str) {
    let name = tool.name().clone();
    let cx = ToolContext::new(RunContext::default(), "A", name, "call_1", arguments);
    // A failure is as good as an output: what is looked for is what becomes of memory.
    drop(tool.invoke(cx).await.into_output());
}
