//! Gathers the sources of a configuration, overlays them and checks the result.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::{env, io};

use super::agents::{ALL_LIMITS, agents, limits, relative_to_origin};
use super::dialect::dialect;
use super::fields::{Fields, Seen};
use super::keys::{ROOT, SECTIONS, is_text};
use super::nearest::nearest;
use super::prices::prices;
use super::schema::{Config, ModelApi};
use super::server::server;
use super::sessions::{Folders, sessions};
use super::sources::{Files, Variable, Variables, plain};
use super::speech::{HTTP, realtime, url, voice};
use super::substitution::Environment;
use super::timeouts::{TimeoutsConfig, timeouts};
use super::trace::trace;
use super::tree::{self, Map, Source, TreeNode, Value};
use super::{ConfigError, Origin, dotenv};
use crate::Secret;
use crate::http::{HttpClient, Proxies};
use crate::secret::Redactor;

const CONFIG_FILE: &str = "./config.yaml";
const CONFIG_VARIABLE: &str = "OPENAI_AGENTS_CONFIG";
const DATA_VARIABLE: &str = "XDG_DATA_HOME";
const PREFIX: &str = "OPENAI_AGENTS__";
const PLUGINS_PATH: &str = "~/.config/openai_agents/plugins";

/// Variables with a name of their own. They win over `OPENAI_AGENTS__<KEY>`, as the names that
/// other programs use too.
const NAMED: &[(&str, &str)] = &[
    ("OPENAI_BASE_URL", "base_url"),
    ("OPENAI_MODEL", "model"),
    ("OPENAI_API_KEY", "api_key"),
    ("RUST_LOG", "log_level"),
];

/// Collects the sources of a configuration.
///
/// [`from_process`](Self::from_process) reads the environment and the working directory.
/// [`new`](Self::new) has only the sources that it is given, which is what tests and programs with
/// their own sources want.
#[derive(Debug)]
pub struct Loader {
    variables: Variables,
    /// What `${NAME}` in the file may refer to: the whole environment, not only our variables.
    environment: Environment,
    files: Files,
    home: Option<PathBuf>,
    config_file: Option<(PathBuf, &'static str)>,
    flags: Vec<(&'static str, Variable)>,
    #[cfg(all(feature = "plugins", unix))]
    pub(super) plugins: Vec<PathBuf>,
}

impl Loader {
    /// Starts without any source: no variable, no file, no home directory.
    pub fn new() -> Self {
        Self {
            variables: Variables::default(),
            environment: Environment::default(),
            files: Files::Memory(BTreeMap::new()),
            home: None,
            config_file: None,
            flags: Vec::new(),
            #[cfg(all(feature = "plugins", unix))]
            plugins: Vec::new(),
        }
    }

    /// Starts with the environment of this process and with `.env` in its working directory.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if `.env` exists and cannot be read, or if a variable that this program
    /// reads is not UTF-8.
    pub fn from_process() -> Result<Self, ConfigError> {
        let directory =
            env::current_dir().map_err(|source| ConfigError::WorkingDirectory { source })?;
        let mut loader = Self {
            files: Files::Disk { directory },
            home: env::home_dir().filter(|home| !home.as_os_str().is_empty()),
            ..Self::new()
        };
        for (name, value) in env::vars_os() {
            // Variables of other programs may have any bytes. Only one that this program reads must
            // be UTF-8.
            let Some(name) = name.to_str() else {
                continue;
            };
            if !is_ours(name) {
                if let Ok(value) = value.into_string() {
                    loader.environment.set(name, value);
                }
                continue;
            }
            let value = value.into_string().map_err(|_| ConfigError::Invalid {
                key: name.to_owned(),
                expected: "UTF-8",
                origin: Origin::Env {
                    variable: name.into(),
                },
            })?;
            loader = loader.variable(name, value);
        }
        // Read after the environment, because `.env` only fills what the environment leaves unset.
        match loader.files.read_shared(Path::new("./.env")) {
            Ok(Some(text)) => loader.dotenv("./.env", &text),
            Ok(None) => Ok(loader),
            Err(source) => Err(ConfigError::Read {
                path: PathBuf::from("./.env"),
                source,
            }),
        }
    }

    /// Sets a variable of the environment; an empty value counts as not set.
    #[must_use]
    pub fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        let origin = Origin::Env {
            variable: name.into(),
        };
        let value = value.into();
        self.environment.set(name, value.clone());
        self.variables.set(name, value, origin);
        self
    }

    /// Fills variables that are not set from the text of a `.env` file.
    ///
    /// Lines for other programs are skipped if they cannot be read.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Dotenv`] for a malformed line whose variable begins with `OPENAI_` or
    /// `VLLM_`.
    pub fn dotenv(mut self, path: &str, text: &str) -> Result<Self, ConfigError> {
        let wrong = |line, problem| ConfigError::Dotenv {
            path: PathBuf::from(path),
            line,
            problem,
        };
        let assignments =
            dotenv::parse(text).map_err(|malformed| wrong(malformed.line, malformed.problem))?;
        let path: Arc<Path> = Path::new(path).into();
        // Collected apart and filled in below: within the file the last assignment wins, while a
        // variable of the environment wins over the file.
        let mut found = Variables::default();
        let mut others = Environment::default();
        for assignment in assignments {
            // The file was decoded with replacement characters, because a line for another program
            // may have another encoding. In one of our values they would become part of a key.
            if is_ours(&assignment.name) && assignment.value.contains(char::REPLACEMENT_CHARACTER) {
                return Err(wrong(assignment.line, "the value is not UTF-8"));
            }
            others.set(&assignment.name, assignment.value.clone());
            let origin = Origin::Dotenv {
                path: Arc::clone(&path),
                line: assignment.line,
                variable: assignment.name.as_str().into(),
            };
            found.set(&assignment.name, assignment.value, origin);
        }
        self.variables.fill(found);
        self.environment.fill(others);
        Ok(self)
    }

    /// Sets the text of a file in memory, for a loader made by [`new`](Self::new).
    ///
    /// Otherwise files come from the disk.
    #[must_use]
    pub fn file(mut self, path: &str, text: &str) -> Self {
        if let Files::Memory(files) = &mut self.files {
            files.insert(plain(Path::new(path)), text.to_owned());
        }
        self
    }

    /// Sets the home directory, for paths that begin with `~/`.
    #[must_use]
    pub fn home(mut self, home: impl Into<PathBuf>) -> Self {
        self.home = Some(home.into());
        self
    }

    /// Names the configuration file and wins over `OPENAI_AGENTS_CONFIG`.
    ///
    /// `flag` is the command-line flag that named it, such as `--config`, for error messages.
    #[must_use]
    pub fn config_file(mut self, flag: &'static str, path: impl Into<PathBuf>) -> Self {
        self.config_file = Some((path.into(), flag));
        self
    }

    /// Sets a text setting, such as `model` or `server.bind`, over every other source.
    ///
    /// `flag` is the command-line flag that set it, such as `--model`, for error messages.
    #[must_use]
    pub fn flag(mut self, flag: &'static str, key: &'static str, value: impl Into<String>) -> Self {
        let origin = Origin::Flag { name: flag };
        let value = value.into();
        self.flags.push((key, Variable { value, origin }));
        self
    }

    /// Overlays the sources and checks the result.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for the first thing that is wrong, with the file and line, variable or flag
    /// it comes from.
    pub fn load(self) -> Result<Config, ConfigError> {
        let (file, file_exists, mut root) = self.read_file()?;
        self.overlay_variables(&mut root)?;
        for (key, flag) in &self.flags {
            let path: Vec<&str> = key.split('.').collect();
            tree::set(&mut root, &path, &flag.origin, flag.as_text());
        }
        // After the overlay, so that `${NAME}` in a value that a variable or flag replaces is not
        // looked up: the name need not be set then.
        self.environment.substitute(&mut root)?;
        let root = TreeNode {
            value: Value::Map(root),
            origin: Origin::Default,
        };
        let mut seen = Seen::default();
        let mut fields = Fields::new("", root, ROOT, &mut seen)?;
        let base_url = url(&mut fields, "base_url", &HTTP)?;
        let model = fields.text("model")?;
        let api_key = fields.secret("api_key")?;
        let model_api = model_api(&mut fields)?;
        let provider_name = fields.text("provider_name")?;
        let timeouts = timeouts(&mut fields)?;
        let client = client(&mut fields, timeouts)?;
        let mut config = Config {
            file,
            file_exists,
            base_url,
            model,
            api_key,
            model_api,
            provider_name,
            log_level: or_default(&mut fields, "log_level", "warn")?,
            plugins_path: self.plugins_path(&mut fields)?,
            limits: limits(&mut fields, ALL_LIMITS)?,
            prices: prices(&mut fields)?,
            max_concurrent_requests: max_concurrent_requests(&mut fields)?,
            state_key: state_key(&mut fields)?,
            sessions: sessions(&mut fields, &self.folders())?,
            trace: trace(&mut fields, &self.folders())?,
            server: server(&mut fields)?,
            timeouts,
            realtime: realtime(&mut fields)?,
            voice: voice(&mut fields)?,
            #[cfg(feature = "mcp-client")]
            mcp_servers: super::mcp::mcp_servers(&mut fields, &client)?,
            outside_tools: super::outside_tools::outside_tools(&mut fields, &self)?,
            #[cfg(all(feature = "workspace", unix))]
            workspace: super::workspace::workspace(&mut fields, &self)?,
            #[cfg(all(feature = "skills", unix))]
            skills: super::skills::skills(&mut fields, &self)?,
            #[cfg(all(feature = "plugins", unix))]
            plugins: super::plugins::ConfiguredPlugins::default(),
            agents: agents(&mut fields, &self.files)?,
            dialect: dialect(&mut fields, &self.variables)?,
            settings: Vec::new(),
            redactor: Redactor::default(),
            client,
            concurrency_limit: Arc::default(),
            memory_limit: Arc::default(),
            agent_set: OnceLock::new(),
        };
        // Only now have all sections reported their secrets, so that a secret of one section is
        // also taken out of the shown values of another.
        (config.settings, config.redactor) = seen.finish();
        #[cfg(all(feature = "plugins", unix))]
        // Last, because the agents of a plugin are built against a complete configuration to see
        // whether they can be used.
        super::plugins::load(&self, &mut config)?;
        config.check_tool_names()?;
        Ok(config)
    }

    fn read_file(&self) -> Result<(Arc<Path>, bool, Map), ConfigError> {
        let (path, named_by) = match (&self.config_file, self.variables.get(CONFIG_VARIABLE)) {
            (Some((path, flag)), _) => (path.clone(), Some(Origin::Flag { name: flag })),
            (None, Some(variable)) => {
                let origin = variable.origin.clone();
                let path = self.expand_home(CONFIG_VARIABLE, &variable.value, &origin)?;
                (path, Some(origin))
            }
            (None, None) => (PathBuf::from(CONFIG_FILE), None),
        };
        let text = match (self.files.read(&path), named_by) {
            (Ok(text), _) => text,
            // `./config.yaml` is optional. A file that somebody named is not: a misspelt path must
            // not mean the defaults.
            (Err(error), None) if error.kind() == io::ErrorKind::NotFound => {
                return Ok((path.into(), false, Map::new()));
            }
            (Err(error), Some(named_by)) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ConfigError::FileNotFound { path, named_by });
            }
            (Err(source), _) => return Err(ConfigError::Read { path, source }),
        };
        let path: Arc<Path> = path.into();
        let node = tree::parse(&text, &Source::File(Arc::clone(&path)))?;
        match node.value {
            Value::Map(root) => Ok((path, true, root)),
            // An empty file, or one with comments only.
            Value::Null => Ok((path, true, Map::new())),
            _ => Err(ConfigError::Yaml {
                origin: node.origin,
                problem: "the file must be a map of settings",
            }),
        }
    }

    fn overlay_variables(&self, root: &mut Map) -> Result<(), ConfigError> {
        for (name, variable) in self.variables.iter() {
            if let Some(key) = name.strip_prefix(PREFIX) {
                overlay_variable(root, name, key, variable)?;
            }
        }
        for (name, key) in NAMED {
            if let Some(variable) = self.variables.get(name) {
                tree::set(root, &[key], &variable.origin, variable.as_text());
            }
        }
        Ok(())
    }

    fn plugins_path(&self, fields: &mut Fields<'_>) -> Result<Option<PathBuf>, ConfigError> {
        const KEY: &str = "plugins_path";
        let Some((text, origin)) = fields.text_and_origin(KEY)? else {
            // The default is below the home directory. Without one there are no plugins, which is
            // an error only for a path that somebody set.
            fields.list(KEY, PLUGINS_PATH.to_owned(), &Origin::Default);
            return Ok(self.expand_home(KEY, PLUGINS_PATH, &Origin::Default).ok());
        };
        let path = self.expand_home(KEY, &text, &origin)?;
        fields.list(KEY, text, &origin);
        Ok(Some(match path.to_str() {
            Some(relative) => relative_to_origin(&origin, relative),
            None => path,
        }))
    }

    pub(super) fn folders(&self) -> Folders<'_> {
        let data = self.variables.get(DATA_VARIABLE);
        Folders {
            home: self.home.as_ref(),
            data: data.map(|data| (PathBuf::from(&data.value), data.origin.clone())),
        }
    }

    /// A path of a setting: below the home directory, relative to the file that it stands in, or as it is.
    #[cfg(any(
        all(feature = "workspace", unix),
        feature = "sqlite",
        feature = "openapi"
    ))]
    /// Resolves the path of a setting: `~/` is the home directory, and a relative path starts at
    /// the file that it is written in.
    pub(super) fn path_of(
        &self,
        key: &str,
        text: &str,
        origin: &Origin,
    ) -> Result<PathBuf, ConfigError> {
        let path = self.expand_home(key, text, origin)?;
        Ok(match path.to_str() {
            Some(relative) => relative_to_origin(origin, relative),
            None => path,
        })
    }

    fn expand_home(&self, key: &str, path: &str, origin: &Origin) -> Result<PathBuf, ConfigError> {
        let Some(rest) = path.strip_prefix("~/") else {
            return Ok(PathBuf::from(path));
        };
        match &self.home {
            Some(home) => Ok(home.join(rest)),
            None => Err(ConfigError::NoHome {
                key: key.to_owned(),
                origin: origin.clone(),
            }),
        }
    }
}

impl Default for Loader {
    fn default() -> Self {
        Self::new()
    }
}

fn is_ours(name: &str) -> bool {
    name.starts_with("OPENAI_")
        || name.starts_with("VLLM_")
        || name == "RUST_LOG"
        || name == DATA_VARIABLE
}

fn overlay_variable(
    root: &mut Map,
    name: &str,
    key: &str,
    variable: &Variable,
) -> Result<(), ConfigError> {
    let origin = &variable.origin;
    let lower = key.to_ascii_lowercase();
    let path: Vec<&str> = lower.split("__").collect();
    let first = path.first().copied().unwrap_or_default();
    let nests = SECTIONS.contains(&first);
    // Lower case would be a second spelling for the same key, and of two variables with one meaning
    // either could win. A part is empty where three underscores meet or one is at the end.
    if key != key.to_ascii_uppercase() || (path.len() > 1 && !nests) || path.contains(&"") {
        let known = ROOT.known.iter().chain(ROOT.unsupported).copied();
        let nearest =
            nearest(first, known).map(|known| format!("{PREFIX}{}", known.to_ascii_uppercase()));
        return Err(ConfigError::UnknownKey {
            key: name.to_owned(),
            nearest,
            origin: origin.clone(),
        });
    }
    // A key or a model name is taken as it is: read as YAML, `007` would lose its zeros and `yes:
    // no` become a map.
    let node = if is_text(&path) {
        variable.as_text()
    } else {
        tree::parse(&variable.value, &Source::Value(origin.clone()))?
    };
    tree::set(root, &path, origin, node);
    Ok(())
}

/// Makes the HTTP client that all models share.
///
/// Proxies and certificates are checked by the first request that needs them: a proxy that is set
/// for another purpose must not stop a model on this machine.
fn client(fields: &mut Fields<'_>, timeouts: TimeoutsConfig) -> Result<HttpClient, ConfigError> {
    let client = timeouts
        .on(HttpClient::builder().proxies(Proxies::FromEnvironment))
        .build()
        .map_err(|source| ConfigError::Http { source })?;
    // The URL of a proxy may hold a password.
    let of_proxies = client.redactor();
    fields
        .settings()
        .keep_secret(|secrets| secrets.all_of(of_proxies));
    Ok(client)
}

/// Returns a URL without the values of its query, where some servers take keys.
pub(super) fn without_query_values(url: &str) -> String {
    let Some((address, query)) = url.split_once('?') else {
        return url.to_owned();
    };
    let names: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, _)) => format!("{name}=.."),
            None => "..".to_owned(),
        })
        .collect();
    format!("{address}?{}", names.join("&"))
}

fn model_api(fields: &mut Fields<'_>) -> Result<ModelApi, ConfigError> {
    const KEY: &str = "model_api";
    let (text, origin) = match fields.text_and_origin(KEY)? {
        Some(set) => set,
        None => ("chat".to_owned(), Origin::Default),
    };
    let api = match text.as_str() {
        "chat" => ModelApi::Chat,
        "responses" => ModelApi::Responses,
        "litellm" => ModelApi::LiteLlm,
        _ => return Err(fields.invalid(KEY, "chat, responses or litellm", origin)),
    };
    fields.list(KEY, text, &origin);
    Ok(api)
}

fn max_concurrent_requests(fields: &mut Fields<'_>) -> Result<Option<NonZeroUsize>, ConfigError> {
    let count = fields.count("max_concurrent_requests")?;
    // `count` refuses 0. A number beyond `usize` can never be reached, so it is no bound.
    Ok(count.and_then(|count| NonZeroUsize::new(usize::try_from(count).unwrap_or(usize::MAX))))
}

fn state_key(fields: &mut Fields<'_>) -> Result<Option<Secret>, ConfigError> {
    const KEY: &str = "state_key";
    let origin = fields.origin_of(KEY);
    let key = fields.secret(KEY)?;
    // `StateKey` has the same limit. Checked here so that the error names the line of the key.
    if key.as_ref().is_some_and(|key| key.expose().len() < 16) {
        return Err(fields.invalid(KEY, "at least 16 bytes long", origin));
    }
    Ok(key)
}

fn or_default(fields: &mut Fields<'_>, key: &str, default: &str) -> Result<String, ConfigError> {
    if let Some(text) = fields.text(key)? {
        return Ok(text);
    }
    fields.list(key, default.to_owned(), &Origin::Default);
    Ok(default.to_owned())
}
