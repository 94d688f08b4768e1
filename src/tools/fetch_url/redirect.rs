//! Where a redirect leads (RFC 3986, section 5.2, without what no server sends).

use crate::http::{HttpError, Url};

/// Resolves the header `location` of an answer.
pub(super) fn redirected(from: &Url, location: &str) -> Result<Url, HttpError> {
    let location = location.split('#').next().unwrap_or_default().trim();
    let scheme = if from.is_https() { "https" } else { "http" };
    let authority = from.host_header();
    let shown = from.to_string();
    let origin = format!("{scheme}://{authority}");
    let path = shown
        .split_once("://")
        .and_then(|(_, rest)| rest.find('/').and_then(|start| rest.get(start..)))
        .unwrap_or("/");
    if location.contains("://") && !location.starts_with(['/', '?', '.']) {
        return Url::parse(location);
    }
    if let Some(rest) = location.strip_prefix("//") {
        return Url::parse(&format!("{scheme}://{rest}"));
    }
    if location.starts_with('/') {
        return Url::parse(&format!("{origin}{location}"));
    }
    if location.is_empty() || location.starts_with('?') {
        return Url::parse(&format!("{origin}{path}{location}"));
    }
    let (folder, _) = path.rsplit_once('/').unwrap_or_default();
    let (relative, query) = match location.find('?') {
        Some(start) => location.split_at(start),
        None => (location, ""),
    };
    let joined = without_dots(&format!("{folder}/{relative}"));
    Url::parse(&format!("{origin}{joined}{query}"))
}

fn without_dots(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').skip(1) {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}
