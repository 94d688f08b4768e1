//! What the call of a plugin's tool costs, and to load a module: `cargo bench --bench plugins` fails where a bound is not kept.
//!
//! What counts is the time of the processor, so that a busy machine judges as an idle one does; the time that passed stands beside it. The
//! module is the example `text_tools` of the SDK, in a release build as `plugins new` sets it up.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use openai_agents::plugin::{PluginSearch, PluginTrust};
use openai_agents::{FunctionTool, RunContext, ToolContext};

const N_CALLS: u32 = 20_000;
const N_LOADS: u32 = 100;
const MAX_LOAD: Duration = Duration::from_millis(5);

/// How `openai-agents plugins new` builds a module.
const PROFILE: [&str; 4] = [
    "profile.release.codegen-units = 1",
    "profile.release.lto = true",
    "profile.release.opt-level = 's'",
    "profile.release.strip = true",
];

const ARGUMENTS: &str = r#"{"text": "one two three", "unit": "words"}"#;
const OUTPUT: &str = "3";

fn main() -> Result<(), Box<dyn Error>> {
    let suffix = env::consts::DLL_SUFFIX;
    let native = format!("target/release/examples/libtext_tools{suffix}");
    let is_kept = [
        measure("native", &[], &native, Duration::from_micros(30))?,
        measure(
            "wasm",
            &["--target", "wasm32-unknown-unknown"],
            "target/wasm32-unknown-unknown/release/examples/text_tools.wasm",
            Duration::from_micros(50),
        )?,
    ];
    if is_kept.contains(&false) {
        return Err("a bound is not kept".into());
    }
    Ok(())
}

/// Says what one kind costs, and whether the bounds are kept.
fn measure(
    kind: &str,
    target: &[&str],
    built: &str,
    max_call: Duration,
) -> Result<bool, Box<dyn Error>> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--release", "--locked"])
        .args(["--package", "openai-agents-kit-plugin"])
        .args(["--example", "text_tools"])
        .args(PROFILE.iter().flat_map(|line| ["--config", line]))
        .args(target)
        .status()?;
    if !status.success() {
        return Err("the example cannot be built".into());
    }
    let folder = env::temp_dir().join(format!("openai-agents-bench-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let name = Path::new(built).file_name().ok_or("no file")?;
    let file = folder.join(name);
    fs::copy(built, &file)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let measured = runtime.block_on(async {
        let load = timed(N_LOADS, async || load(&file).await.map(drop)).await?;
        let tool = load_one(&file).await?;
        let call = timed(N_CALLS, async || call(&tool).await).await?;
        Ok::<_, Box<dyn Error>>((load, call))
    });
    fs::remove_dir_all(&folder)?;
    let (load, call) = measured?;
    for (what, cost, bound) in [("load", &load, MAX_LOAD), ("call", &call, max_call)] {
        let Cost { processor, passed } = cost;
        // The report is what this program is for.
        #[expect(clippy::print_stdout, reason = "a benchmark prints")]
        {
            println!(
                "{kind:6} {what}: {processor:?} of the processor (at most {bound:?}), {passed:?} passed"
            );
        }
    }
    Ok(load.processor <= MAX_LOAD && call.processor <= max_call)
}

/// What one of many costs.
struct Cost {
    processor: Duration,
    passed: Duration,
}

async fn timed(
    n: u32,
    mut work: impl AsyncFnMut() -> Result<(), Box<dyn Error>>,
) -> Result<Cost, Box<dyn Error>> {
    // What is done once is not what a call costs.
    work().await?;
    let (before, begun) = (processor_time()?, Instant::now());
    for _ in 0..n {
        work().await?;
    }
    Ok(Cost {
        processor: processor_time()?.saturating_sub(before) / n,
        passed: begun.elapsed() / n,
    })
}

/// Of all threads that there are; none of those that count here ends meanwhile, but those that load.
fn processor_time() -> Result<Duration, Box<dyn Error>> {
    let statistics = fs::read_to_string("/proc/self/stat")?;
    // Behind the name, which may hold anything: user and system time are the 12th and 13th, in hundredths of a second.
    let (_, fields) = statistics.rsplit_once(')').ok_or("no statistics")?;
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(10 * ticks))
}

async fn load(file: &Path) -> Result<Vec<FunctionTool>, Box<dyn Error>> {
    let data: PathBuf = env::temp_dir();
    let trust = PluginTrust::read(data.join("openai-agents-bench-trust.json"))?;
    let named = [file.to_owned()];
    let plugins = PluginSearch::new(&data, &trust).named(&named).find()?;
    let plugin = plugins.enabled().next().ok_or("it is no plugin")?;
    let module = plugin.module_tools().pop().ok_or("it has no module")?;
    let tools = module.state().await.map_err(|error| error.to_string())?;
    Ok(tools.to_vec())
}

async fn load_one(file: &Path) -> Result<FunctionTool, Box<dyn Error>> {
    let mut tools = load(file).await?.into_iter();
    let tool = tools.find(|tool| tool.name().as_str() == "count");
    tool.ok_or_else(|| "it has no tool `count`".into())
}

async fn call(tool: &FunctionTool) -> Result<(), Box<dyn Error>> {
    let name = tool.name().clone();
    let cx = ToolContext::new(RunContext::default(), "A", name, "call_1", ARGUMENTS);
    let output = tool.invoke(cx).await.into_output()?.to_json();
    if output != OUTPUT {
        return Err(format!("the output is {output}").into());
    }
    Ok(())
}
