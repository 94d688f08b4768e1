//! A tool that panics harms its own call only.

use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::{Agent, FunctionTool, Runner};

use crate::support::{call, instant, output, tool};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_panics_in_a_hundred_runs_end_no_run_and_no_process() {
    const FAILED: &str = "An error occurred while running the tool. Please try again.";
    // Each panic would be printed; the hook is the process's, so that it is left alone for others' panics.
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let is_ours = info.payload().downcast_ref::<&str>() == Some(&"a planned panic");
        if !is_ours {
            print(info);
        }
    }));
    let panics: FunctionTool = tool("panics", |_| async {
        tokio::task::yield_now().await;
        std::panic::panic_any("a planned panic")
    });
    let agent = Agent::builder("A")
        .tool(panics)
        .tool(instant("look", "wet"))
        .build()
        .unwrap();
    let mut runs = Vec::new();
    for _ in 0..100 {
        let calls = (0..11).map(|n| {
            let name = if n == 5 { "look" } else { "panics" };
            call(&format!("c{n}"), name, "{}")
        });
        let model = ScriptedModel::new([ScriptedTurn::items(calls), ScriptedTurn::text("done")]);
        let request = Runner::new(model).run(&agent, "go");
        runs.push(tokio::spawn(request.into_future()));
    }
    let mut n_panics = 0;
    for run in runs {
        let result = run.await.unwrap().unwrap();
        assert_eq!(result.final_output(), "done");
        assert_eq!(result.items()[11 + 5], output("c5", "wet"));
        let failed = |n: usize| result.items()[11 + n] == output(&format!("c{n}"), FAILED);
        n_panics += (0..11).filter(|n| failed(*n)).count();
    }
    assert_eq!(n_panics, 1_000);
}
