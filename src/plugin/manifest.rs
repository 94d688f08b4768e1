//! Reads `plugin.json`, the manifest of a plugin.

use serde_json::{Map, Value};

use super::{ManifestError, PluginIssue};

const SCHEMA_PREFIX: &str = "https://agent-plugins.org/schemas/";

/// Describes a plugin, from its `plugin.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PluginManifest {
    /// The name, unique among the loaded plugins.
    pub name: String,
    /// The version, in any form.
    pub version: Option<String>,
    /// What the plugin is for.
    pub description: Option<String>,
    /// The author.
    pub author: PluginAuthor,
    /// The URL of its home page.
    pub homepage: Option<String>,
    /// The URL of its source.
    pub repository: Option<String>,
    /// Its licence.
    pub license: Option<String>,
    /// Keywords for a search.
    pub keywords: Vec<String>,
}

/// The author of a plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PluginAuthor {
    /// The name.
    pub name: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// The URL of a page.
    pub url: Option<String>,
}

impl PluginManifest {
    /// The identifier of the schema of the manifest, which selects the rules (specification, 5.2).
    ///
    /// It is never fetched.
    pub const SCHEMA: &str = "https://agent-plugins.org/schemas/1.0.0/plugin.schema.json";
    /// The identifier of the schema of `mcp.json`.
    pub const SERVERS_SCHEMA: &str = "https://agent-plugins.org/schemas/1.0.0/mcp.schema.json";

    /// Says whether a text can be the name of a plugin (5.5).
    pub fn is_name(name: &str) -> bool {
        let is_alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        (1..=64).contains(&name.len())
            && name
                .chars()
                .all(|c| is_alphanumeric(c) || c == '-' || c == '.')
            && name.starts_with(is_alphanumeric)
            && name.ends_with(is_alphanumeric)
            && !name.contains("--")
            && !name.contains("..")
    }
}

/// Parses a manifest. Deviations that the specification tolerates are added to the issues (5.2,
/// 8.1).
pub(super) fn parse(
    text: &str,
    issues: &mut Vec<PluginIssue>,
) -> Result<PluginManifest, ManifestError> {
    let json: Value =
        serde_json::from_str(text).map_err(|error| ManifestError::Json { line: error.line() })?;
    let Value::Object(mut fields) = json else {
        return Err(ManifestError::NoObject);
    };
    check_schema(fields.shift_remove("$schema"))?;
    let mut manifest = PluginManifest {
        name: name(fields.shift_remove("name"))?,
        ..PluginManifest::default()
    };
    manifest.author = author(&mut fields)?;
    for (field, value) in [
        ("version", &mut manifest.version),
        ("description", &mut manifest.description),
        ("homepage", &mut manifest.homepage),
        ("repository", &mut manifest.repository),
        ("license", &mut manifest.license),
    ] {
        *value = text_of(&mut fields, field)?;
    }
    manifest.keywords = keywords(fields.shift_remove("keywords"))?;
    check_extensions(fields.shift_remove("extensions"), issues)?;
    for (field, _) in fields {
        issues.push(PluginIssue::UnknownField { field });
    }
    Ok(manifest)
}

/// Refuses other versions, by name (5.2).
fn check_schema(schema: Option<Value>) -> Result<(), ManifestError> {
    match schema {
        Some(Value::String(schema)) if schema == PluginManifest::SCHEMA => Ok(()),
        Some(Value::String(schema)) => Err(ManifestError::UnsupportedVersion {
            version: version_of(&schema).to_owned(),
        }),
        _ => Err(wrong("$schema", "a text: the identifier of the schema")),
    }
}

/// Returns the version in an identifier, or the whole identifier if it has none.
pub(super) fn version_of(schema: &str) -> &str {
    let rest = schema.strip_prefix(SCHEMA_PREFIX);
    let version = rest.and_then(|rest| rest.split_once('/'));
    version.map_or(schema, |(version, _)| version)
}

/// Checks the name (5.5).
fn name(name: Option<Value>) -> Result<String, ManifestError> {
    match name {
        Some(Value::String(name)) if PluginManifest::is_name(&name) => Ok(name),
        _ => Err(wrong(
            "name",
            "1 to 64 of a-z, 0-9, - and ., with a letter or digit at both ends, and neither -- nor ..",
        )),
    }
}

/// Reads the author (5.4): no other fields, and all of them text.
fn author(fields: &mut Map<String, Value>) -> Result<PluginAuthor, ManifestError> {
    const EXPECTED: &str = "an object of `name`, `email` and `url`, each a text";
    let mut author = match fields.shift_remove("author") {
        None => return Ok(PluginAuthor::default()),
        Some(Value::Object(author)) => author,
        Some(_) => return Err(wrong("author", EXPECTED)),
    };
    let [name, email, url] =
        ["name", "email", "url"].map(|field| match author.shift_remove(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong("author", EXPECTED)),
        });
    if !author.is_empty() {
        return Err(wrong("author", EXPECTED));
    }
    Ok(PluginAuthor {
        name: name?,
        email: email?,
        url: url?,
    })
}

fn text_of(
    fields: &mut Map<String, Value>,
    field: &'static str,
) -> Result<Option<String>, ManifestError> {
    match fields.shift_remove(field) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong(field, "a text")),
    }
}

fn keywords(keywords: Option<Value>) -> Result<Vec<String>, ManifestError> {
    let wrong = || wrong("keywords", "a list of texts");
    match keywords {
        None => Ok(Vec::new()),
        Some(Value::Array(keywords)) => keywords
            .into_iter()
            .map(|keyword| match keyword {
                Value::String(keyword) => Ok(keyword),
                _ => Err(wrong()),
            })
            .collect(),
        Some(_) => Err(wrong()),
    }
}

/// Checks `extensions` (8.1): if it is not an object it is reported and ignored; each member of an
/// object must be an object.
fn check_extensions(
    extensions: Option<Value>,
    issues: &mut Vec<PluginIssue>,
) -> Result<(), ManifestError> {
    match extensions {
        None => Ok(()),
        Some(Value::Object(namespaces)) if namespaces.values().all(Value::is_object) => Ok(()),
        Some(Value::Object(_)) => Err(wrong("extensions", "an object whose members are objects")),
        Some(_) => {
            issues.push(PluginIssue::ExtensionsIgnored);
            Ok(())
        }
    }
}

fn wrong(field: &'static str, expected: &'static str) -> ManifestError {
    ManifestError::Field { field, expected }
}
