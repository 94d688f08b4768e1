//! Reads a server's results part by part: required fields must be there, optional ones cannot lose a result.

use serde_json::{Map, Value};

use super::compare::kind;
use super::deviations::quoted;
use super::json::join;
use super::normal::Raw;
use super::{
    ElicitationRequest, McpContent, McpMessage, McpPrompt, McpPromptArgument, McpPromptMessages,
    McpResource, McpResourceBody, McpResourceContent, McpResourceTemplate, McpRole, McpToolResult,
    SamplingMessage, SamplingRequest,
};

/// What is wrong with a field that is needed, with its name.
pub(super) type Unusable = String;

/// An object at its place.
struct ObjectFields<'a> {
    map: &'a Map<String, Value>,
    path: String,
    raw: &'a Raw,
}

impl<'a> ObjectFields<'a> {
    fn whole(raw: &'a Raw) -> Result<Self, Unusable> {
        Self::at(raw, &raw.value, String::new())
    }

    fn at(raw: &'a Raw, value: &'a Value, path: String) -> Result<Self, Unusable> {
        match value {
            Value::Object(map) => Ok(Self { map, path, raw }),
            other => Err(format!("`{path}` is {}, not an object", kind(other))),
        }
    }

    /// Returns a field that is needed; one that stands twice and says two things is none.
    fn needed(&self, name: &str) -> Result<&'a Value, Unusable> {
        let path = join(&self.path, name);
        if self.raw.ambiguous.contains(&path) {
            return Err(format!("`{path}` stands twice, with different values"));
        }
        match self.map.get(name) {
            Some(value) if !value.is_null() => Ok(value),
            _ => Err(format!("`{path}` is missing")),
        }
    }

    fn wrong(&self, name: &str, due: &str, found: &Value) -> Unusable {
        let path = join(&self.path, name);
        format!("`{path}` is {}, not {due}: {}", kind(found), quoted(found))
    }

    fn needed_text(&self, name: &str) -> Result<String, Unusable> {
        match self.needed(name)? {
            Value::String(text) => Ok(text.clone()),
            other => Err(self.wrong(name, "text", other)),
        }
    }

    fn needed_list(&self, name: &str) -> Result<&'a Vec<Value>, Unusable> {
        match self.needed(name)? {
            Value::Array(list) => Ok(list),
            other => Err(self.wrong(name, "a list", other)),
        }
    }

    fn text(&self, name: &str) -> Option<String> {
        self.map
            .get(name)
            .and_then(Value::as_str)
            .map(str::to_owned)
    }
}

/// The entries of one page of a list, and where the next page is.
pub(super) struct ParsedPage<T> {
    /// Each entry, or what is wrong with it.
    pub(super) entries: Vec<Result<T, Unusable>>,
    pub(super) next: Option<String>,
}

/// Reads a page of a list.
pub(super) fn page<T>(
    raw: &Raw,
    key: &str,
    entry: fn(&Raw, &Value, String) -> Result<T, Unusable>,
) -> Result<ParsedPage<T>, Unusable> {
    let fields = ObjectFields::whole(raw)?;
    let entries = fields.needed_list(key)?.iter().enumerate();
    let next = match fields.map.get("nextCursor") {
        None | Some(Value::Null) => None,
        Some(_) => Some(fields.needed_text("nextCursor")?),
    };
    Ok(ParsedPage {
        // A broken entry is an error of that entry. The others can be used.
        entries: entries
            .map(|(n, value)| entry(raw, value, format!("{key}[{n}]")))
            .collect(),
        // Some servers end their list so.
        next: next.filter(|next| !next.is_empty()),
    })
}

/// A tool as a server lists it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ListedTool {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) schema: Value,
}

/// Reads a tool; what is wrong with one is told with the name that it has.
pub(super) fn tool(raw: &Raw, value: &Value, path: String) -> Result<Named<ListedTool>, Unusable> {
    let fields = ObjectFields::at(raw, value, path)?;
    let name = fields.needed_text("name")?;
    let schema = match fields.needed("inputSchema") {
        Ok(schema @ Value::Object(_)) => Ok(schema.clone()),
        Ok(other) => Err(fields.wrong("inputSchema", "an object", other)),
        Err(unusable) => Err(unusable),
    };
    let description = fields.text("description").or_else(|| fields.text("title"));
    Ok(Named {
        name: name.clone(),
        it: schema.map(|schema| ListedTool {
            name,
            description: description.unwrap_or_default(),
            schema,
        }),
    })
}

/// Something that has a name, even if it cannot be used.
pub(super) struct Named<T> {
    pub(super) name: String,
    pub(super) it: Result<T, Unusable>,
}

pub(super) fn resource(raw: &Raw, value: &Value, path: String) -> Result<McpResource, Unusable> {
    let fields = ObjectFields::at(raw, value, path)?;
    let uri = fields.needed_text("uri")?;
    Ok(McpResource {
        // It is read by its address.
        name: fields.text("name").unwrap_or_else(|| uri.clone()),
        uri,
        title: fields.text("title"),
        description: fields.text("description"),
        media_type: fields.text("mimeType"),
        size: fields.map.get("size").and_then(Value::as_u64),
    })
}

pub(super) fn template(
    raw: &Raw,
    value: &Value,
    path: String,
) -> Result<McpResourceTemplate, Unusable> {
    let fields = ObjectFields::at(raw, value, path)?;
    let uri_template = fields.needed_text("uriTemplate")?;
    Ok(McpResourceTemplate {
        name: fields.text("name").unwrap_or_else(|| uri_template.clone()),
        uri_template,
        title: fields.text("title"),
        description: fields.text("description"),
        media_type: fields.text("mimeType"),
    })
}

pub(super) fn prompt(raw: &Raw, value: &Value, path: String) -> Result<McpPrompt, Unusable> {
    let fields = ObjectFields::at(raw, value, path)?;
    let arguments = fields.map.get("arguments").and_then(Value::as_array);
    let argument = |value: &Value| {
        let map = value.as_object()?;
        let text = |name: &str| map.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(McpPromptArgument {
            name: text("name")?,
            description: text("description"),
            required: map.get("required").and_then(Value::as_bool) == Some(true),
        })
    };
    Ok(McpPrompt {
        name: fields.needed_text("name")?,
        title: fields.text("title"),
        description: fields.text("description"),
        arguments: arguments
            .into_iter()
            .flatten()
            .filter_map(argument)
            .collect(),
    })
}

/// Reads the messages of a prompt.
pub(super) fn prompt_messages(raw: &Raw) -> Result<McpPromptMessages, Unusable> {
    let fields = ObjectFields::whole(raw)?;
    let messages = fields.needed_list("messages")?.iter().enumerate();
    let message = |(n, value)| {
        let fields = ObjectFields::at(raw, value, format!("messages[{n}]"))?;
        Ok(McpMessage {
            role: role(&fields)?,
            content: content(
                raw,
                fields.needed("content")?,
                &join(&fields.path, "content"),
            )?,
        })
    };
    Ok(McpPromptMessages {
        description: fields.text("description"),
        messages: messages.map(message).collect::<Result<_, Unusable>>()?,
    })
}

fn role(fields: &ObjectFields<'_>) -> Result<McpRole, Unusable> {
    match fields.needed_text("role")?.as_str() {
        "user" => Ok(McpRole::User),
        "assistant" => Ok(McpRole::Assistant),
        other => Err(format!(
            "`{}` is neither `user` nor `assistant` but `{other}`",
            join(&fields.path, "role")
        )),
    }
}

/// Reads what was read of a resource.
pub(super) fn resource_contents(
    raw: &Raw,
    asked: &str,
) -> Result<Vec<McpResourceContent>, Unusable> {
    let contents = ObjectFields::whole(raw)?.needed_list("contents")?.iter();
    contents
        .enumerate()
        .map(|(n, value)| {
            let fields = ObjectFields::at(raw, value, format!("contents[{n}]"))?;
            resource_content(&fields, asked)
        })
        .collect()
}

fn resource_content(
    fields: &ObjectFields<'_>,
    asked: &str,
) -> Result<McpResourceContent, Unusable> {
    let is_there = |name: &str| fields.map.get(name).is_some_and(|value| !value.is_null());
    let body = match (is_there("text"), is_there("blob")) {
        (true, false) => McpResourceBody::Text(fields.needed_text("text")?),
        (false, true) => McpResourceBody::Blob(fields.needed_text("blob")?),
        (true, true) => return Err(format!("`{}` has both `text` and `blob`", fields.path)),
        (false, false) => {
            return Err(format!("`{}` has neither `text` nor `blob`", fields.path));
        }
    };
    Ok(McpResourceContent {
        uri: fields.text("uri").unwrap_or_else(|| asked.to_owned()),
        media_type: fields.text("mimeType"),
        body,
    })
}

/// Reads the proposals for an argument; what is no text among them is left out.
pub(super) fn proposals(raw: &Raw) -> Result<Vec<String>, Unusable> {
    let completion = ObjectFields::whole(raw)?.needed("completion")?;
    let fields = ObjectFields::at(raw, completion, "completion".to_owned())?;
    let values = fields.needed_list("values")?.iter();
    Ok(values
        .filter_map(|value| value.as_str().map(str::to_owned))
        .collect())
}

/// Reads what a tool gave back.
pub(super) fn tool_result(raw: &Raw) -> Result<McpToolResult, Unusable> {
    let fields = ObjectFields::whole(raw)?;
    let is_error = match fields.map.get("isError") {
        None | Some(Value::Null) => false,
        Some(_) => match fields.needed("isError")? {
            Value::Bool(is_error) => *is_error,
            other => return Err(fields.wrong("isError", "true or false", other)),
        },
    };
    let content = match fields.map.get("content") {
        None | Some(Value::Null) => Vec::new(),
        Some(_) => match fields.needed("content")? {
            Value::Array(blocks) => blocks
                .iter()
                .enumerate()
                .map(|(n, block)| content(raw, block, &format!("content[{n}]")))
                .collect::<Result<_, _>>()?,
            other => vec![McpContent::Other(other.clone())],
        },
    };
    let structured = fields.map.get("structuredContent");
    let structured = structured.filter(|json| !json.is_null());
    // Dropped if it says two things, as long as there is content beside it. Without content there
    // would be nothing left, so the call fails.
    let is_ambiguous = |path: &String| path.starts_with("structuredContent");
    if structured.is_some() && content.is_empty() {
        let path = raw.ambiguous.iter().find(|path| is_ambiguous(path));
        if let Some(path) = path {
            return Err(format!("`{path}` stands twice, with different values"));
        }
    }
    Ok(McpToolResult {
        content,
        structured_content: structured
            .filter(|_| !raw.ambiguous.iter().any(is_ambiguous))
            .cloned(),
        is_error,
    })
}

/// What blocks of content say something with.
const NEEDED_OF_CONTENT: [&str; 10] = [
    "type",
    "text",
    "data",
    "mimeType",
    "uri",
    "resource",
    "resource.uri",
    "resource.text",
    "resource.blob",
    "resource.mimeType",
];

/// Reads a block of content; one that has not the form of its type, or a type that is not known, is kept word for word.
fn content(raw: &Raw, value: &Value, path: &str) -> Result<McpContent, Unusable> {
    let Value::Object(map) = value else {
        return Ok(McpContent::Other(value.clone()));
    };
    let fields = ObjectFields {
        map,
        path: path.to_owned(),
        raw,
    };
    // What says two things cannot be passed on word for word: only one of them is left.
    for name in NEEDED_OF_CONTENT {
        let path = join(path, name);
        if raw.ambiguous.contains(&path) {
            return Err(format!("`{path}` stands twice, with different values"));
        }
    }
    let text = |name: &str| fields.text(name);
    // A block that is not as its type wants is passed on as it came: the model may still understand
    // it.
    let known = match map.get("type").and_then(Value::as_str) {
        Some("text") => text("text").map(McpContent::text),
        Some("image") => text("data")
            .zip(text("mimeType"))
            .map(|(data, media_type)| McpContent::Image { data, media_type }),
        Some("audio") => text("data")
            .zip(text("mimeType"))
            .map(|(data, media_type)| McpContent::Audio { data, media_type }),
        Some("resource") => map
            .get("resource")
            .filter(|resource| resource.get("uri").is_some_and(Value::is_string))
            .and_then(|resource| ObjectFields::at(raw, resource, join(path, "resource")).ok())
            .and_then(|fields| resource_content(&fields, "").ok())
            .map(McpContent::from),
        Some("resource_link") => text("name")
            .and_then(|_| resource(raw, value, path.to_owned()).ok())
            .map(McpContent::ResourceLink),
        _ => None,
    };
    Ok(known.unwrap_or_else(|| McpContent::Other(value.clone())))
}

/// Reads what a server asks of a model.
pub(super) fn sampling(raw: &Raw) -> Result<SamplingRequest, Unusable> {
    let fields = ObjectFields::whole(raw)?;
    let messages = fields.needed_list("messages")?.iter().enumerate();
    let message = |(n, value)| {
        let fields = ObjectFields::at(raw, value, format!("messages[{n}]"))?;
        let path = join(&fields.path, "content");
        Ok(SamplingMessage {
            role: role(&fields)?,
            content: match fields.needed("content")? {
                Value::Array(blocks) => blocks
                    .iter()
                    .enumerate()
                    .map(|(n, block)| content(raw, block, &format!("{path}[{n}]")))
                    .collect::<Result<_, _>>()?,
                block => vec![content(raw, block, &path)?],
            },
        })
    };
    let max_tokens = fields.needed("maxTokens")?;
    let n_tokens = max_tokens.as_u64().and_then(|n| u32::try_from(n).ok());
    let stops = fields.map.get("stopSequences").and_then(Value::as_array);
    Ok(SamplingRequest {
        messages: messages.map(message).collect::<Result<_, Unusable>>()?,
        system_prompt: fields.text("systemPrompt"),
        max_tokens: n_tokens
            .ok_or_else(|| fields.wrong("maxTokens", "a number of tokens", max_tokens))?,
        temperature: fields
            .map
            .get("temperature")
            .and_then(Value::as_f64)
            .map(narrowed),
        stop_sequences: stops
            .into_iter()
            .flatten()
            .filter_map(|stop| stop.as_str().map(str::to_owned))
            .collect(),
        model_preferences: fields
            .map
            .get("modelPreferences")
            .filter(|it| !it.is_null())
            .cloned(),
    })
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a temperature has few digits"
)]
const fn narrowed(temperature: f64) -> f32 {
    temperature as f32
}

/// Reads what a server asks the user; none when it is asked in a way that is not known.
pub(super) fn elicitation(raw: &Raw) -> Result<Option<ElicitationRequest>, Unusable> {
    let fields = ObjectFields::whole(raw)?;
    let message = fields.needed_text("message")?;
    let mode = match fields.map.get("mode") {
        None | Some(Value::Null) => "form".to_owned(),
        Some(_) => fields.needed_text("mode")?,
    };
    Ok(match mode.as_str() {
        "form" => match fields.needed("requestedSchema")? {
            schema @ Value::Object(_) => Some(ElicitationRequest::form(message, schema.clone())),
            other => return Err(fields.wrong("requestedSchema", "an object", other)),
        },
        "url" => Some(ElicitationRequest::url(message, fields.needed_text("url")?)),
        _ => None,
    })
}
