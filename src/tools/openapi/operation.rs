//! One operation: what the model is asked for, and where each answer goes in the request.

use serde_json::{Map, Value, json};

use super::OpenApiError;
use super::document::{Document, problem};
use crate::http::HttpMethod;

/// The longest description that a tool is given.
const MAX_DESCRIPTION_CHARS: usize = 2000;
/// The parameter that the body of a request is given by.
pub(super) const BODY: &str = "body";

#[derive(Debug)]
pub(super) struct Operation {
    pub(super) method: HttpMethod,
    /// As the document writes it, with `{names}`.
    pub(super) path: String,
    pub(super) description: String,
    pub(super) parameters: Vec<OperationParameter>,
    pub(super) body: Option<Body>,
    definitions: Map<String, Value>,
}

#[derive(Debug)]
pub(super) struct OperationParameter {
    /// By which the model gives it.
    pub(super) argument: String,
    /// By which the server takes it.
    pub(super) name: String,
    pub(super) place: ParameterPlace,
    /// Whether each element of a list is sent by itself.
    pub(super) explode: bool,
    is_required: bool,
    schema: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ParameterPlace {
    Path,
    Query,
    Header,
}

#[derive(Debug)]
pub(super) struct Body {
    pub(super) format: BodyFormat,
    pub(super) media_type: String,
    is_required: bool,
    schema: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyFormat {
    Json,
    Form,
    Text,
}

impl Operation {
    pub(super) fn read(
        document: &Document,
        (path, method): (&str, &str),
        set_headers: &[String],
    ) -> Result<Self, OpenApiError> {
        let place = format!("{} {path}", method.to_ascii_uppercase());
        let item = document.path_item(path)?;
        let operation = document.object(item.get(method).unwrap_or(&Value::Null), &place)?;
        let mut reader = OperationReader {
            document,
            place: &place,
            definitions: Map::new(),
        };
        let mut parameters: Vec<OperationParameter> = Vec::new();
        let lists = [item.get("parameters"), operation.get("parameters")];
        for written in lists
            .into_iter()
            .flatten()
            .filter_map(Value::as_array)
            .flatten()
        {
            let Some(parameter) = reader.parameter(written, set_headers)? else {
                continue;
            };
            // What the operation says goes before what its path says.
            parameters.retain(|one| (&one.name, one.place) != (&parameter.name, parameter.place));
            parameters.push(parameter);
        }
        let body = operation.get("requestBody");
        let body = body.map(|body| reader.body(body)).transpose()?;
        name_apart(&mut parameters, body.is_some());
        for name in names_in(path) {
            let mut of_path = parameters
                .iter()
                .filter(|one| one.place == ParameterPlace::Path);
            if !of_path.any(|one| one.name == name) {
                let what = format!("the path has `{{{name}}}`, and no parameter says what it is");
                return Err(problem(&place, what));
            }
        }
        Ok(Self {
            method: method_of(method),
            path: path.to_owned(),
            description: description(operation, &place),
            parameters,
            body,
            definitions: reader.definitions,
        })
    }

    /// Whether the method says that nothing is changed.
    pub(super) const fn is_safe(&self) -> bool {
        matches!(
            self.method,
            HttpMethod::Get | HttpMethod::Head | HttpMethod::Options
        )
    }

    /// The schema of what the model is asked for.
    pub(super) fn parameters_schema(&self) -> Value {
        let parameters = self.parameters.iter();
        let parameters =
            parameters.map(|one| (one.argument.as_str(), &one.schema, one.is_required));
        let body = self.body.iter();
        let body = body.map(|body| (BODY, &body.schema, body.is_required));
        let mut properties = Map::new();
        let mut required = Vec::new();
        for (name, schema, is_required) in parameters.chain(body) {
            properties.insert(name.to_owned(), schema.clone());
            required.extend(is_required.then(|| name.to_owned()));
        }
        let mut schema = json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        });
        if let (false, Some(schema)) = (self.definitions.is_empty(), schema.as_object_mut()) {
            schema.insert("$defs".to_owned(), self.definitions.clone().into());
        }
        schema
    }
}

struct OperationReader<'a> {
    document: &'a Document,
    place: &'a str,
    definitions: Map<String, Value>,
}

impl OperationReader<'_> {
    /// Reads a parameter; nothing if the model is not to be asked for it.
    fn parameter(
        &mut self,
        written: &Value,
        set_headers: &[String],
    ) -> Result<Option<OperationParameter>, OpenApiError> {
        let written = self.document.object(written, self.place)?;
        let text = |key: &str| written.get(key).and_then(Value::as_str);
        let name = text("name").ok_or_else(|| problem(self.place, "a parameter has no name"))?;
        let refuse = |what: String| {
            Err(problem(
                self.place,
                format!("the parameter `{name}` {what}"),
            ))
        };
        let is_required = written.get("required") == Some(&Value::Bool(true));
        let header = name.to_ascii_lowercase();
        // These three are not parameters, says the specification.
        let is_ignored = ["accept", "content-type", "authorization"].contains(&header.as_str());
        let place = match text("in") {
            Some("header") if is_ignored || set_headers.contains(&header) => return Ok(None),
            Some("path") => ParameterPlace::Path,
            Some("query") => ParameterPlace::Query,
            Some("header") => ParameterPlace::Header,
            Some("cookie") if !is_required => return Ok(None),
            Some(other) => return refuse(format!("is in `{other}`, which cannot be sent")),
            None => return refuse("does not say where it is".to_owned()),
        };
        // Other styles are rare, and sending one wrong would call the server with other values.
        let usual = match place {
            ParameterPlace::Query => "form",
            ParameterPlace::Path | ParameterPlace::Header => "simple",
        };
        let style = text("style").unwrap_or(usual);
        if style != usual {
            return refuse(format!("has the style `{style}`, which cannot be sent"));
        }
        let Some(schema) = written.get("schema") else {
            return refuse("has no schema".to_owned());
        };
        let mut schema = self
            .document
            .schema(schema, &mut self.definitions, self.place)?;
        let own = schema
            .as_object_mut()
            .filter(|own| !own.contains_key("description"));
        if let (Some(own), Some(description)) = (own, written.get("description")) {
            own.insert("description".to_owned(), description.clone());
        }
        let explode = written.get("explode").and_then(Value::as_bool);
        Ok(Some(OperationParameter {
            argument: name.to_owned(),
            name: name.to_owned(),
            place,
            explode: explode.unwrap_or(place == ParameterPlace::Query),
            is_required: is_required || place == ParameterPlace::Path,
            schema,
        }))
    }

    fn body(&mut self, written: &Value) -> Result<Body, OpenApiError> {
        let written = self.document.object(written, self.place)?;
        let content = written.get("content").and_then(Value::as_object);
        let mut known = content
            .into_iter()
            .flatten()
            .filter_map(|(media_type, content)| {
                let plain = media_type.split(';').next().unwrap_or_default().trim();
                let format = match plain {
                    "application/json" => BodyFormat::Json,
                    plain if plain.ends_with("+json") => BodyFormat::Json,
                    "application/x-www-form-urlencoded" => BodyFormat::Form,
                    "text/plain" => BodyFormat::Text,
                    _ => return None,
                };
                Some((format, media_type, content))
            });
        let Some((format, media_type, content)) = known.next() else {
            let types: Vec<&str> = content
                .into_iter()
                .flatten()
                .map(|(kind, _)| &**kind)
                .collect();
            let what = format!(
                "the body can be {} only, which cannot be sent",
                types.join(" or ")
            );
            return Err(problem(self.place, what));
        };
        let any = Value::Object(Map::new());
        let schema = content.get("schema").unwrap_or(&any);
        Ok(Body {
            format,
            media_type: media_type.clone(),
            is_required: written.get("required") == Some(&Value::Bool(true)),
            schema: self
                .document
                .schema(schema, &mut self.definitions, self.place)?,
        })
    }
}

/// Gives parameters of one name in several places, and one that is called as the body is, names of their own.
fn name_apart(parameters: &mut [OperationParameter], has_body: bool) {
    let names: Vec<String> = parameters.iter().map(|one| one.name.clone()).collect();
    for parameter in parameters {
        let n_times = names.iter().filter(|name| **name == parameter.name).count();
        if n_times > 1 || (has_body && parameter.name == BODY) {
            let place = match parameter.place {
                ParameterPlace::Path => "path",
                ParameterPlace::Query => "query",
                ParameterPlace::Header => "header",
            };
            parameter.argument = format!("{}_in_{place}", parameter.name);
        }
    }
}

/// The names in braces.
fn names_in(path: &str) -> impl Iterator<Item = &str> {
    let parts = path.split('{').skip(1);
    parts.filter_map(|part| Some(part.split_once('}')?.0))
}

fn description(operation: &Map<String, Value>, place: &str) -> String {
    let texts = ["summary", "description"].map(|key| operation.get(key).and_then(Value::as_str));
    let texts: Vec<&str> = texts
        .into_iter()
        .flatten()
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .collect();
    let text = if texts.is_empty() {
        format!("Calls {place}.")
    } else {
        texts.join("\n")
    };
    text.chars().take(MAX_DESCRIPTION_CHARS).collect()
}

fn method_of(method: &str) -> HttpMethod {
    match method {
        "head" => HttpMethod::Head,
        "options" => HttpMethod::Options,
        "post" => HttpMethod::Post,
        "put" => HttpMethod::Put,
        "patch" => HttpMethod::Patch,
        "delete" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}
