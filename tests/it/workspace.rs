//! Tools that act below one root: what they do, and that nothing leads out of it.
#![cfg(unix)]

#[cfg(target_os = "linux")]
mod commands;
mod containment;
mod files;
mod patches;
#[cfg(target_os = "linux")]
mod traced;

use std::fs;
use std::path::PathBuf;

use openai_agents::tools::ToolError;
use openai_agents::tools::workspace::Workspace;
use openai_agents::{FunctionTool, RunContext, ToolContext, ToolRegistry};
use serde_json::Value;

use crate::folder::Folder;

/// A root with a neighbour that must never be seen, both in one folder.
pub(super) struct GuardedRoot {
    folder: Folder,
    pub(super) workspace: Workspace,
    /// Made once: a race of thousands of calls would spend most of its time on their schemas.
    tools: ToolRegistry,
}

pub(super) const SECRET: &str = "what nobody inside may see";

impl GuardedRoot {
    pub(super) fn new() -> Self {
        let folder = Folder::new();
        fs::create_dir(folder.path("root")).unwrap();
        fs::create_dir(folder.path("outside")).unwrap();
        fs::write(folder.path("outside/secret"), SECRET).unwrap();
        let workspace = Workspace::open(folder.path("root")).unwrap();
        let tools = workspace.tools();
        Self {
            folder,
            workspace,
            tools,
        }
    }

    /// A path below the root.
    pub(super) fn inside(&self, name: &str) -> PathBuf {
        self.folder.path("root").join(name)
    }

    pub(super) fn outside(&self, name: &str) -> PathBuf {
        self.folder.path("outside").join(name)
    }

    pub(super) fn with(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.inside(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    /// What a tool answers, or the text of its error with its causes.
    pub(super) async fn call(&self, tool: &str, arguments: Value) -> Result<String, String> {
        call(self.tools.get(tool).unwrap(), &arguments).await
    }

    /// The names that are outside of the root, with what they hold.
    pub(super) fn neighbours(&self) -> Vec<(String, String)> {
        let mut found: Vec<_> = fs::read_dir(self.folder.path("outside"))
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let text = fs::read_to_string(entry.path()).unwrap();
                (entry.file_name().into_string().unwrap(), text)
            })
            .collect();
        found.sort();
        found
    }

    #[track_caller]
    pub(super) fn assert_untouched(&self) {
        let expected = vec![("secret".to_owned(), SECRET.to_owned())];
        assert_eq!(self.neighbours(), expected);
    }
}

pub(super) async fn call(tool: &FunctionTool, arguments: &Value) -> Result<String, String> {
    let cx = ToolContext::new(
        RunContext::default(),
        "A",
        tool.name().clone(),
        "call_1",
        arguments.to_string(),
    );
    let tool = tool.clone().needs_approval_if(|_, _| false);
    match tool.invoke(cx).await.into_output() {
        Ok(output) => Ok(output.to_json().as_str().unwrap().to_owned()),
        Err(ToolError::Failed { source, .. }) => {
            let mut words = source.to_string();
            let mut cause = source.source();
            while let Some(error) = cause {
                words = format!("{words}: {error}");
                cause = error.source();
            }
            Err(words)
        }
        Err(error) => Err(error.to_string()),
    }
}
