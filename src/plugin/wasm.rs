//! Runs WebAssembly modules in a sandbox: they compute within limits, and can reach nothing else.

use std::sync::{Mutex, PoisonError};

use openai_agents_plugin::abi::ABI_VERSION;
use wasmi::{
    Config, Engine, Linker, Memory, Module, Store, StoreLimits, StoreLimitsBuilder, TrapCode,
    TypedFunc,
};

use super::module_tools::Reply;
use super::{ModuleCallError, ModuleError, PluginModule};

/// The most instances that are kept for later calls. More calls at once make more instances.
const MAX_IDLE: usize = 8;

/// The first bytes of every module.
const MAGIC: &[u8] = b"\0asm";

/// A module that was parsed and checked.
pub(super) struct Sandbox {
    engine: Engine,
    module: Module,
    idle: Mutex<Vec<Instance>>,
    max_fuel: u64,
    max_memory_bytes: usize,
}

/// An instance of the module. One that was stopped in the middle is not used again.
struct Instance {
    store: Store<StoreLimits>,
    memory: Memory,
    allocate: TypedFunc<u32, u32>,
    describe: TypedFunc<(), u64>,
    call: TypedFunc<(), u64>,
    abi_version: TypedFunc<(), u32>,
}

impl Sandbox {
    pub(super) fn load(module: &PluginModule, bytes: &[u8]) -> Result<Self, ModuleError> {
        let refuse = |problem: String| ModuleError::Refused {
            file: module.file.clone(),
            problem,
        };
        // Checked here, because the message of the interpreter would quote the bytes of a foreign file.
        if !bytes.starts_with(MAGIC) {
            return Err(refuse("it is not a WebAssembly module".to_owned()));
        }
        let mut config = Config::default();
        config.consume_fuel(true);
        let engine = Engine::new(&config);
        let parsed = Module::new(&engine, bytes)
            .map_err(|error| refuse(format!("it is not a WebAssembly module ({error})")))?;
        let imports: Vec<String> = parsed
            .imports()
            .map(|import| format!("{}.{}", import.module(), import.name()))
            .collect();
        if !imports.is_empty() {
            let imports = imports.join(", ");
            return Err(refuse(format!(
                "it imports {imports}, and a module may import nothing"
            )));
        }
        let mib = usize::try_from(module.max_memory_mib).unwrap_or(usize::MAX);
        let sandbox = Self {
            engine,
            module: parsed,
            idle: Mutex::default(),
            max_fuel: module.max_fuel,
            max_memory_bytes: mib.saturating_mul(1024 * 1024),
        };
        let mut instance = sandbox.instance().map_err(refuse)?;
        let version = instance.abi_version;
        let version = version.call(&mut instance.store, ());
        match version {
            Ok(ABI_VERSION) => {}
            Ok(found) => {
                return Err(ModuleError::Abi {
                    file: module.file.clone(),
                    found,
                    supported: ABI_VERSION,
                });
            }
            Err(error) => return Err(refuse(stopped(&error))),
        }
        sandbox.give_back(instance);
        Ok(sandbox)
    }

    pub(super) fn describe(&self) -> Reply {
        self.within(|instance| {
            let describe = instance.describe;
            instance.answer(describe)
        })
    }

    pub(super) fn call(&self, tool: &str, arguments: &str) -> Reply {
        self.within(|instance| {
            instance.write(tool)?;
            instance.write(arguments)?;
            let call = instance.call;
            instance.answer(call)
        })
    }

    /// Runs with new fuel. An instance that failed may be in any state, and is dropped.
    fn within(&self, run: impl FnOnce(&mut Instance) -> Reply) -> Reply {
        let idle = self.idle();
        let mut instance = match idle {
            Some(instance) => instance,
            None => self.instance().map_err(ModuleCallError::Stopped)?,
        };
        let fuel = instance.store.set_fuel(self.max_fuel);
        fuel.map_err(|error| ModuleCallError::Stopped(error.to_string()))?;
        let reply = run(&mut instance)?;
        self.give_back(instance);
        Ok(reply)
    }

    fn idle(&self) -> Option<Instance> {
        let idle = self.idle.lock();
        idle.unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn give_back(&self, instance: Instance) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push(instance);
        }
    }

    fn instance(&self) -> Result<Instance, String> {
        let limits = StoreLimitsBuilder::new()
            .memory_size(self.max_memory_bytes)
            .memories(1)
            .tables(4)
            .instances(1)
            .build();
        let mut store = Store::new(&self.engine, limits);
        store.limiter(|limits| limits);
        // The start function of a module has the same limit as a call.
        let fuel = store.set_fuel(self.max_fuel);
        fuel.map_err(|error| error.to_string())?;
        let linker = Linker::new(&self.engine);
        let started = linker.instantiate_and_start(&mut store, &self.module);
        let started = started.map_err(|error| stopped(&error))?;
        let missing =
            |name: &str| format!("it has no function {name} with the signature of the ABI");
        let memory = started.get_memory(&store, "memory");
        let memory = memory.ok_or("it exports no memory")?;
        macro_rules! function {
            ($name:literal) => {
                started
                    .get_typed_func(&store, $name)
                    .map_err(|_| missing($name))?
            };
        }
        Ok(Instance {
            memory,
            allocate: function!("openai_agents_allocate"),
            describe: function!("openai_agents_describe"),
            call: function!("openai_agents_call"),
            abi_version: function!("openai_agents_abi_version"),
            store,
        })
    }
}

impl Instance {
    fn write(&mut self, text: &str) -> Result<(), ModuleCallError> {
        let too_long = |_| ModuleCallError::Stopped("the arguments are too long".to_owned());
        let length = u32::try_from(text.len()).map_err(too_long)?;
        let address = self.allocate.call(&mut self.store, length);
        let address = address.map_err(|error| ModuleCallError::Stopped(stopped(&error)))?;
        let written = self
            .memory
            .write(&mut self.store, address as usize, text.as_bytes());
        written.map_err(|_| contract("the space that it allocated is outside its memory"))
    }

    fn answer(&mut self, function: TypedFunc<(), u64>) -> Reply {
        let place = function.call(&mut self.store, ());
        let place = place.map_err(|error| ModuleCallError::Stopped(stopped(&error)))?;
        let (start, length) = (place >> 32, place & u64::from(u32::MAX));
        let bytes = usize::try_from(start)
            .ok()
            .zip(usize::try_from(start + length).ok())
            .and_then(|(start, end)| self.memory.data(&self.store).get(start..end));
        let bytes = bytes.ok_or_else(|| contract("its answer is outside its memory"))?;
        let Some((status, text)) = bytes.split_first() else {
            return Err(contract("its answer is empty"));
        };
        match std::str::from_utf8(text) {
            Ok(text) => Ok((u32::from(*status), text.to_owned())),
            Err(_) => Err(contract("its answer is not UTF-8")),
        }
    }
}

fn contract(problem: &str) -> ModuleCallError {
    ModuleCallError::Contract(problem.to_owned())
}

fn stopped(error: &wasmi::Error) -> String {
    match error.as_trap_code() {
        Some(TrapCode::OutOfFuel) => "it reached the limit `max_fuel`".to_owned(),
        Some(TrapCode::UnreachableCodeReached) => "it panicked, or ran out of memory".to_owned(),
        Some(_) | None => error.to_string(),
    }
}
