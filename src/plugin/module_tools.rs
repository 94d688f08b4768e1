//! The tools of a module: it is loaded when they are first asked for, and they are ordinary tools
//! then.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use openai_agents_plugin::abi::{STATUS_FAILED, STATUS_OUTPUT, STATUS_PANICKED};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::OnceCell;

use super::content::hex;
use super::{ModuleCallError, ModuleError, ModuleKind, Plugin, PluginModule};
use crate::error::error_chain;
use crate::future::BoxFuture;
use crate::tools::{
    FunctionTool, ToolFailure, ToolOptions, ToolOutput, ToolSource, ToolSourceError,
};

/// The largest file. A library with everything that it links has a few MB.
const MAX_FILE_BYTES: u64 = 512 * 1024 * 1024;
/// The longest time to load. Set-up code that takes longer counts as endless.
const LOAD_TIMEOUT: Duration = Duration::from_secs(10);

/// The reply of a module: a status and its text, or how the ABI was broken.
pub(super) type Reply = Result<(u32, String), ModuleCallError>;

/// A module whose code is loaded.
#[derive(Clone)]
enum Engine {
    #[cfg(feature = "plugins-native")]
    Native(Arc<super::native::Library>),
    #[cfg(feature = "plugins-wasm")]
    Wasm(Arc<super::wasm::Sandbox>),
}

/// The tools of one module of a plugin. Clones share the loaded module.
///
/// The module is loaded when its tools are first asked for. If that fails it has no tools from then
/// on, and says so in the log and in [`state`](Self::state). The rest of the plugin is used.
#[derive(Clone)]
pub struct ModuleTools {
    name: Arc<str>,
    module: Arc<PluginModule>,
    loaded: Arc<OnceCell<Result<Loaded, Arc<ModuleError>>>>,
    #[cfg(feature = "config")]
    neighbours: Option<Arc<Neighbours>>,
}

/// The tools and modules that an agent has before a module. The tools of a module are known only
/// once it is loaded, and an agent cannot have two tools with one name.
#[cfg(feature = "config")]
struct Neighbours {
    /// The module without this check.
    alone: ModuleTools,
    tools: Vec<String>,
    modules: Vec<ModuleTools>,
}

#[derive(Clone)]
struct Loaded {
    tools: Arc<[FunctionTool]>,
    engine: Engine,
}

#[derive(Deserialize)]
struct Description {
    tools: Vec<DescribedTool>,
}

#[derive(Deserialize)]
struct DescribedTool {
    name: String,
    description: String,
    parameters: Value,
}

impl Plugin {
    /// Returns a source of tools for each module, named `PLUGIN/MODULE`. No module is loaded yet.
    pub fn module_tools(&self) -> Vec<ModuleTools> {
        let modules = self.modules().iter().map(|module| ModuleTools {
            name: format!("{}/{}", self.name(), module.name).into(),
            module: Arc::new(module.clone()),
            loaded: Arc::default(),
            #[cfg(feature = "config")]
            neighbours: None,
        });
        modules.collect()
    }
}

impl ModuleTools {
    /// Loads the module, unless that was tried before, and gives its tools or the error.
    ///
    /// # Errors
    ///
    /// [`ModuleError`] if the module cannot be used, now or before.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the thread that loads goes on by itself. The next call starts
    /// again.
    pub async fn state(&self) -> Result<Arc<[FunctionTool]>, Arc<ModuleError>> {
        self.loaded().await.map(|loaded| loaded.tools)
    }

    /// Gives the module for an agent that has these tools and modules already: it is refused if a
    /// tool has the name of one of theirs.
    #[cfg(feature = "config")]
    pub(crate) fn behind(&self, tools: &[String], modules: &[Self]) -> Self {
        Self {
            loaded: Arc::default(),
            neighbours: Some(Arc::new(Neighbours {
                alone: self.clone(),
                tools: tools.to_vec(),
                modules: modules.to_vec(),
            })),
            ..self.clone()
        }
    }

    async fn loaded(&self) -> Result<Loaded, Arc<ModuleError>> {
        self.loaded.get_or_init(|| self.load()).await.clone()
    }

    /// Loads the module. Boxed, because it waits for the modules before it, and so for itself by
    /// type.
    fn load(&self) -> BoxFuture<'_, Result<Loaded, Arc<ModuleError>>> {
        #[cfg(feature = "config")]
        if let Some(neighbours) = &self.neighbours {
            return Box::pin(async {
                let loaded = neighbours.alone.loaded().await?;
                neighbours.check(&loaded.tools).await?;
                Ok(loaded)
            });
        }
        Box::pin(load(Arc::clone(&self.module)))
    }

    /// Returns the number of threads that run abandoned calls, which cannot be ended.
    pub fn n_given_up(&self) -> usize {
        match self.loaded.get() {
            Some(Ok(loaded)) => loaded.engine.n_given_up(),
            Some(Err(_)) | None => 0,
        }
    }
}

#[cfg(feature = "config")]
impl Neighbours {
    async fn check(&self, tools: &[FunctionTool]) -> Result<(), Arc<ModuleError>> {
        let refuse = |tool: &str, owner: String| {
            Arc::new(ModuleError::SameTool {
                file: self.alone.module.file.clone(),
                tool: tool.to_owned(),
                owner,
            })
        };
        let name = |tool: &FunctionTool| tool.name().to_string();
        let mut own = tools.iter().map(name);
        if let Some(tool) = own.find(|tool| self.tools.contains(tool)) {
            return Err(refuse(&tool, "the agent itself".to_owned()));
        }
        for module in &self.modules {
            // A module that was refused has no tools.
            let Ok(taken) = module.state().await else {
                continue;
            };
            let taken: BTreeSet<String> = taken.iter().map(name).collect();
            if let Some(tool) = tools.iter().map(name).find(|tool| taken.contains(tool)) {
                return Err(refuse(&tool, module.module.file.display().to_string()));
            }
        }
        Ok(())
    }
}

impl ToolSource for ModuleTools {
    fn name(&self) -> &str {
        &self.name
    }

    fn tools(&self) -> BoxFuture<'_, Result<Arc<[FunctionTool]>, ToolSourceError>> {
        Box::pin(async {
            Ok(self.state().await.unwrap_or_else(|error| {
                let error: &ModuleError = &error;
                tracing::warn!(target: "openai_agents::plugin", module = self.name(), error = error as &dyn Error, "a module of a plugin cannot be used");
                Arc::default()
            }))
        })
    }
}

impl fmt::Debug for ModuleTools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModuleTools")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Loads and describes a module on a thread of its own, since its code may run for ever.
async fn load(module: Arc<PluginModule>) -> Result<Loaded, Arc<ModuleError>> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let for_thread = Arc::clone(&module);
    let spawned = std::thread::Builder::new()
        .name(format!("load {}", module.name))
        .spawn(move || {
            let engine = read_checked(&for_thread)
                .and_then(|bytes| Engine::load(&for_thread, &bytes))
                .and_then(|engine| Ok((engine.clone(), engine.describe(&for_thread)?)));
            // The receiver is gone if that took too long.
            drop(sender.send(engine));
        });
    if let Err(source) = spawned {
        let file = module.file.clone();
        return Err(Arc::new(ModuleError::Unreadable { file, source }));
    }
    let loaded = tokio::time::timeout(LOAD_TIMEOUT, receiver).await;
    let (engine, description) = match loaded {
        Ok(Ok(loaded)) => loaded?,
        Ok(Err(_)) | Err(_) => {
            return Err(Arc::new(ModuleError::Timeout {
                file: module.file.clone(),
                seconds: LOAD_TIMEOUT.as_secs(),
            }));
        }
    };
    let tools = tools(&module, &engine, &description)?;
    Ok(Loaded { tools, engine })
}

/// Reads the file once, so that the bytes that are run are those that were hashed.
fn read_checked(module: &PluginModule) -> Result<Vec<u8>, ModuleError> {
    use sha2::{Digest as _, Sha256};

    let read = || {
        let mut options = File::options();
        // The path was resolved, so that a link in its place is new, and refused. `O_NONBLOCK` keeps a pipe from
        // blocking the open.
        options
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let mut bytes = Vec::new();
        let file = options.open(&module.file)?;
        file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|source| ModuleError::Unreadable {
        file: module.file.clone(),
        source,
    })?;
    if hex(&Sha256::digest(&bytes)) == module.sha256 {
        return Ok(bytes);
    }
    let file = module.file.clone();
    Err(ModuleError::Changed { file })
}

fn tools(
    module: &PluginModule,
    engine: &Engine,
    description: &str,
) -> Result<Arc<[FunctionTool]>, ModuleError> {
    let refuse = |problem: String| ModuleError::Description {
        file: module.file.clone(),
        problem,
    };
    let described: Description =
        serde_json::from_str(description).map_err(|error| refuse(error.to_string()))?;
    let mut names = BTreeSet::new();
    for tool in &described.tools {
        if !names.insert(tool.name.clone()) {
            return Err(refuse(format!("it has two tools `{}`", tool.name)));
        }
    }
    // Whoever trusted the plugin saw the tools that extension.json lists; a module must not bring
    // others.
    if let Some(said) = &module.tools {
        let said: BTreeSet<String> = said.iter().cloned().collect();
        if said != names {
            return Err(ModuleError::OtherTools {
                file: module.file.clone(),
                found: names.into_iter().collect(),
                said: said.into_iter().collect(),
            });
        }
    }
    let tools = described.tools.into_iter();
    let tools: Result<Vec<FunctionTool>, ModuleError> = tools
        .map(|described| {
            let name = described.name.clone();
            tool(module, engine, described)
                .map_err(|error| refuse(format!("the tool `{name}`: {}", error_chain(&error))))
        })
        .collect();
    Ok(tools?.into())
}

/// Makes a tool. A schema without a strict form is given to the model as it is, as for MCP servers.
fn tool(
    module: &PluginModule,
    engine: &Engine,
    described: DescribedTool,
) -> Result<FunctionTool, crate::tools::ToolDefinitionError> {
    let DescribedTool {
        name,
        description,
        parameters,
    } = described;
    let options = ToolOptions::default()
        .timeout(module.timeout)
        .failure(ToolFailure::TellModelDetail);
    let make = |options: ToolOptions| {
        let (engine, tool) = (engine.clone(), Arc::<str>::from(name.as_str()));
        FunctionTool::dynamic(
            &name,
            description.clone(),
            parameters.clone(),
            options,
            move |_, arguments: Map<String, Value>| {
                let (engine, tool) = (engine.clone(), Arc::clone(&tool));
                async move {
                    let arguments = Value::Object(arguments).to_string();
                    output(engine.call(tool, arguments).await)
                }
            },
        )
    };
    match make(options.clone()) {
        Ok(tool) => Ok(tool),
        Err(_) => make(options.strict(false)),
    }
}

fn output(reply: Reply) -> Result<ToolOutput, ModuleCallError> {
    match reply? {
        (STATUS_OUTPUT, json) => match serde_json::from_str(&json) {
            Ok(Value::String(text)) => Ok(text.into()),
            Ok(_) => Ok(json.into()),
            Err(error) => {
                let problem = format!("its output is not JSON: {error}");
                Err(ModuleCallError::Contract(problem))
            }
        },
        (STATUS_FAILED, words) => Err(ModuleCallError::Failed(words)),
        (STATUS_PANICKED, words) => Err(ModuleCallError::Panicked(words)),
        (status, _) => Err(ModuleCallError::Contract(format!("its status is {status}"))),
    }
}

impl Engine {
    fn load(module: &PluginModule, bytes: &[u8]) -> Result<Self, ModuleError> {
        match module.kind {
            #[cfg(feature = "plugins-native")]
            ModuleKind::Native => super::native::Library::load(module, bytes)
                .map(|library| Self::Native(Arc::new(library))),
            #[cfg(feature = "plugins-wasm")]
            ModuleKind::Wasm => super::wasm::Sandbox::load(module, bytes)
                .map(|sandbox| Self::Wasm(Arc::new(sandbox))),
            #[cfg(not(all(feature = "plugins-native", feature = "plugins-wasm")))]
            kind => Err(ModuleError::Refused {
                file: module.file.clone(),
                problem: format!(
                    "this program is built without its feature `plugins-{}`; build it with that feature",
                    kind.as_str()
                ),
            }),
        }
    }

    fn describe(&self, module: &PluginModule) -> Result<String, ModuleError> {
        let reply = match self {
            #[cfg(feature = "plugins-native")]
            Self::Native(library) => library.describe(),
            #[cfg(feature = "plugins-wasm")]
            Self::Wasm(sandbox) => sandbox.describe(),
        };
        let problem = match reply {
            Ok((STATUS_OUTPUT, json)) => return Ok(json),
            Ok((STATUS_FAILED, words)) => words,
            Ok((STATUS_PANICKED, words)) => format!("it panicked: {words}"),
            Ok((status, _)) => format!("its status is {status}"),
            Err(error) => error.to_string(),
        };
        let file = module.file.clone();
        Err(ModuleError::Description { file, problem })
    }

    async fn call(self, tool: Arc<str>, arguments: String) -> Reply {
        match self {
            #[cfg(feature = "plugins-native")]
            Self::Native(library) => library.call(tool, arguments).await,
            #[cfg(feature = "plugins-wasm")]
            Self::Wasm(sandbox) => {
                crate::tools::blocking(move || sandbox.call(&tool, &arguments)).await
            }
        }
    }

    fn n_given_up(&self) -> usize {
        match self {
            #[cfg(feature = "plugins-native")]
            Self::Native(library) => library.n_given_up(),
            #[cfg(feature = "plugins-wasm")]
            Self::Wasm(_) => 0,
        }
    }
}
