//! Tools from a document of `OpenAPI` (3.0 and 3.1, JSON or YAML): each operation that is named becomes one.
//!
//! What cannot be called as the document describes it is an error, and never left out or guessed: a body that is a file upload, a style
//! of parameters that is not read here, a reference to another file. The document is not asked which server to use; the caller names it.
//!
//! ```
//! use openai_agents::tools::openapi::{OpenApiOptions, openapi_tools};
//!
//! let document = r#"
//! openapi: 3.1.0
//! info: { title: Weather, version: "1" }
//! paths:
//!   /cities/{city}/weather:
//!     get:
//!       operationId: weather
//!       summary: Tells the weather in a city.
//!       parameters: [{ name: city, in: path, required: true, schema: { type: string } }]
//!       responses: { "200": { description: The weather. } }
//! "#;
//! let tools = openapi_tools(document, OpenApiOptions::new("https://weather.example/v1")?)?;
//! assert_eq!(tools[0].name().as_str(), "weather");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod call;
mod document;
mod operation;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use self::call::Server;
use self::document::Document;
use self::operation::Operation;
use super::{FunctionTool, ToolContext, ToolDefinitionError, ToolFailure, ToolOptions};
use crate::http::{BaseUrl, Headers, HttpClient, HttpError};
use crate::secret::{Redactor, Secret};

/// The largest document that is read; 8 MiB.
pub const MAX_DOCUMENT_BYTES: usize = 8 * 1024 * 1024;

/// Sets where the operations of a document are called, and which of them become tools.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OpenApiOptions {
    /// The operations that become tools, by the names of the tools; all by default.
    pub only: Option<Vec<String>>,
    /// What stands before the name of each tool; nothing by default.
    pub prefix: String,
    /// How long a call may take; 60 seconds by default.
    pub timeout: Duration,
    /// How much of an answer the model is given; 64 KiB by default.
    pub max_answer_bytes: usize,
    server: BaseUrl,
    headers: Headers,
    /// Headers that are set here, which the model is not asked for.
    set_headers: Vec<String>,
    redactor: Redactor,
}

impl OpenApiOptions {
    /// Names the server, with the path that those of the document follow.
    ///
    /// # Errors
    ///
    /// [`HttpError`] if it is no URL.
    pub fn new(server: &str) -> Result<Self, HttpError> {
        Ok(Self {
            only: None,
            prefix: String::new(),
            timeout: Duration::from_secs(60),
            max_answer_bytes: 64 * 1024,
            server: BaseUrl::parse(server)?,
            headers: Headers::new(),
            set_headers: Vec::new(),
            redactor: Redactor::builder().url(server).build(),
        })
    }

    /// Makes tools of these operations and no others.
    #[must_use]
    pub fn only<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.only = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Sets what stands before the name of each tool.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets how long a call may take.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how much of an answer the model is given.
    #[must_use]
    pub const fn max_answer_bytes(mut self, max_answer_bytes: usize) -> Self {
        self.max_answer_bytes = max_answer_bytes;
        self
    }

    /// Sends a header with each call.
    ///
    /// The model does not see it, also where the server repeats its value.
    ///
    /// # Errors
    ///
    /// [`HttpError`] if name or value cannot be sent.
    pub fn header(mut self, name: &str, value: &Secret) -> Result<Self, HttpError> {
        self.headers.insert_secret(name, value)?;
        self.set_headers.push(name.to_ascii_lowercase());
        let known = Redactor::builder().all_of(&self.redactor);
        self.redactor = known.header(value).build();
        Ok(self)
    }

    /// Sends a bearer token with each call.
    ///
    /// # Errors
    ///
    /// As [`header`](Self::header).
    pub fn bearer_token(self, token: &Secret) -> Result<Self, HttpError> {
        let value = Secret::new(format!("Bearer {}", token.expose()));
        self.header("authorization", &value)
    }
}

/// Says why a document gives no tools.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenApiError {
    /// The document is too large.
    #[error("the document has more than {MAX_DOCUMENT_BYTES} bytes")]
    TooLarge,
    /// The document is neither JSON nor YAML.
    #[error("the document cannot be read: {reason}")]
    Syntax {
        /// Why not.
        reason: String,
    },
    /// The document is of a version that is not read here.
    #[error("the document says `openapi: {found}`; 3.0 and 3.1 can be read")]
    Version {
        /// What it says.
        found: String,
    },
    /// Something in the document is missing, wrong or cannot be called.
    #[error("{place}: {problem}")]
    Place {
        /// Where it stands, such as `GET /pets`.
        place: String,
        /// What is the matter.
        problem: String,
    },
    /// Two operations would have one name.
    #[error("two operations give a tool the name `{name}`")]
    TwoOfOneName {
        /// The name.
        name: String,
    },
    /// An operation that is asked for is not in the document.
    #[error("the document has no operation `{name}`; it has: {}", known.join(", "))]
    NoSuchOperation {
        /// The name.
        name: String,
        /// Those that it has.
        known: Vec<String>,
    },
    /// An operation cannot be made a tool.
    #[error("the operation `{name}` cannot be a tool")]
    Tool {
        /// The name.
        name: String,
        /// Why not.
        #[source]
        source: ToolDefinitionError,
    },
    /// The client cannot be set up.
    #[error("requests cannot be sent")]
    Http {
        /// Why not.
        #[source]
        source: HttpError,
    },
}

/// Makes tools of the operations of a document.
///
/// Those that may change something (all but GET, HEAD and OPTIONS) wait for approval.
///
/// # Errors
///
/// [`OpenApiError`] if the document, or an operation that is asked for, cannot be read or called.
pub fn openapi_tools(
    document: &str,
    options: OpenApiOptions,
) -> Result<Vec<FunctionTool>, OpenApiError> {
    let document = Document::parse(document)?;
    let names = document.operation_names()?;
    let mut taken = HashSet::new();
    for (name, ..) in &names {
        if !taken.insert(name.as_str()) {
            return Err(OpenApiError::TwoOfOneName { name: name.clone() });
        }
    }
    if let Some(only) = &options.only
        && let Some(name) = only.iter().find(|name| !taken.contains(name.as_str()))
    {
        return Err(OpenApiError::NoSuchOperation {
            name: name.clone(),
            known: names.iter().map(|(name, ..)| name.clone()).collect(),
        });
    }
    let client = HttpClient::builder().total_timeout(options.timeout).build();
    let client = client.map_err(|source| OpenApiError::Http { source })?;
    let asked_for = |name: &String| {
        let only = options.only.as_ref();
        only.is_none_or(|only| only.contains(name))
    };
    let mut operations = Vec::new();
    for (name, path, method) in names.iter().filter(|(name, ..)| asked_for(name)) {
        let operation = Operation::read(&document, (path, method), &options.set_headers)?;
        operations.push((format!("{}{name}", options.prefix), operation));
    }
    let server = Arc::new(Server { client, options });
    let tools = operations.into_iter();
    tools
        .map(|(name, operation)| tool(&server, name, operation))
        .collect()
}

fn tool(
    server: &Arc<Server>,
    name: String,
    operation: Operation,
) -> Result<FunctionTool, OpenApiError> {
    let is_safe = operation.is_safe();
    // The schemas are someone else's, and few of them have a strict form.
    let mut options = ToolOptions::default()
        .strict(false)
        // The answer is cut by the options; what is left out of it is said, and not an error.
        .max_output_bytes(usize::MAX)
        .failure(ToolFailure::TellModelDetail);
    if is_safe {
        options = options.idempotent();
    }
    let (server, operation) = (Arc::clone(server), Arc::new(operation));
    let (description, parameters) = (operation.description.clone(), operation.parameters_schema());
    let call = move |_: ToolContext, arguments| {
        let (server, operation) = (Arc::clone(&server), Arc::clone(&operation));
        async move { server.call(&operation, arguments).await }
    };
    let tool = FunctionTool::dynamic(&name, description, parameters, options, call);
    let tool = tool.map_err(|source| OpenApiError::Tool { name, source })?;
    Ok(if is_safe { tool } else { tool.needs_approval() })
}
