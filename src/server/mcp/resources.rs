//! The resources of a server: those at an address, and those of a template.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::McpCall;
use crate::future::{BoxError, BoxFuture};
use crate::mcp::{McpResource, McpResourceContent, McpResourceTemplate};

type Read = dyn Fn(McpCall, ResourceRequest) -> BoxFuture<'static, Result<Vec<McpResourceContent>, BoxError>>
    + Send
    + Sync;

/// The resources, in order.
#[derive(Default)]
pub(super) struct Resources {
    fixed: Vec<(McpResource, Arc<Read>)>,
    templates: Vec<(McpResourceTemplate, Arc<Read>)>,
}

/// A client's wish to read a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResourceRequest {
    /// Where it is.
    pub uri: String,
    /// What stands for the variables of the template.
    pub variables: BTreeMap<String, String>,
}

impl Resources {
    pub(super) fn add<F, R, E>(&mut self, resource: McpResource, read: F)
    where
        F: Fn(McpCall, ResourceRequest) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Vec<McpResourceContent>, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.fixed.push((resource, boxed(read)));
    }

    pub(super) fn add_template<F, R, E>(&mut self, template: McpResourceTemplate, read: F)
    where
        F: Fn(McpCall, ResourceRequest) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Vec<McpResourceContent>, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.templates.push((template, boxed(read)));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fixed.is_empty() && self.templates.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &McpResource> {
        self.fixed.iter().map(|(resource, _)| resource)
    }

    pub(super) fn templates(&self) -> impl Iterator<Item = &McpResourceTemplate> {
        self.templates.iter().map(|(template, _)| template)
    }

    pub(super) fn uris(&self) -> impl Iterator<Item = &str> {
        let fixed = self.iter().map(|resource| resource.uri.as_str());
        let templates = self
            .templates()
            .map(|template| template.uri_template.as_str());
        fixed.chain(templates)
    }

    /// Finds what reads an address: a resource there, else the first template that fits.
    pub(super) fn find(&self, uri: &str) -> Option<(&Arc<Read>, ResourceRequest)> {
        let request = |variables| ResourceRequest {
            uri: uri.to_owned(),
            variables,
        };
        if let Some((_, read)) = self.fixed.iter().find(|(resource, _)| resource.uri == uri) {
            return Some((read, request(BTreeMap::new())));
        }
        self.templates.iter().find_map(|(template, read)| {
            let variables = variables(&template.uri_template, uri)?;
            Some((read, request(variables)))
        })
    }
}

fn boxed<F, R, E>(read: F) -> Arc<Read>
where
    F: Fn(McpCall, ResourceRequest) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Vec<McpResourceContent>, E>> + Send + 'static,
    E: Into<BoxError>,
{
    Arc::new(move |call, request| {
        let contents = read(call, request);
        Box::pin(async move { contents.await.map_err(Into::into) })
    })
}

/// Reads the variables of a template out of an address; `None` if it does not fit.
///
/// Of RFC 6570 these are `{variable}`, any text without `/`, and `{+variable}`, any text. Neither stands for nothing.
fn variables(template: &str, uri: &str) -> Option<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    let (mut template, mut uri) = (template, uri);
    loop {
        let Some((literal, rest)) = template.split_once('{') else {
            return (template == uri).then_some(found);
        };
        uri = uri.strip_prefix(literal)?;
        let (name, rest) = rest.split_once('}')?;
        let (name, any) = match name.strip_prefix('+') {
            Some(name) => (name, true),
            None => (name, false),
        };
        let next = rest.split('{').next().unwrap_or_default();
        let end = match next {
            "" => uri.len(),
            literal => uri.find(literal)?,
        };
        let value = uri.get(..end)?;
        if value.is_empty() || !any && value.contains('/') {
            return None;
        }
        found.insert(name.to_owned(), value.to_owned());
        uri = uri.get(end..)?;
        template = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::variables;

    #[track_caller]
    fn check(template: &str, uri: &str, expect: Option<&[(&str, &str)]>) {
        let found = variables(template, uri);
        let expect = expect.map(|pairs| {
            let owned = pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            owned.collect()
        });
        assert_eq!(found, expect, "{template} {uri}");
    }

    #[test]
    fn a_template_fits_what_it_describes() {
        check("a://b", "a://b", Some(&[]));
        check("a://{x}", "a://1", Some(&[("x", "1")]));
        check("a://{x}/data", "a://1/data", Some(&[("x", "1")]));
        check("a://{x}/{y}", "a://1/2", Some(&[("x", "1"), ("y", "2")]));
        check("a://{+x}", "a://1/2", Some(&[("x", "1/2")]));
    }

    #[test]
    fn a_template_fits_nothing_else() {
        check("a://b", "a://c", None);
        check("a://{x}", "a://", None);
        check("a://{x}", "a://1/2", None);
        check("a://{x}/data", "a://1/other", None);
        check("a://{x", "a://1", None);
    }
}
