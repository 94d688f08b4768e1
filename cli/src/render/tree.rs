//! Traces for people: a line of the list, a tree for the terminal, and a self-contained page.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use openai_agents::trace::{Span, SpanKind, SpanStatus, TraceSummary};
use serde_json::Value;

use super::usage;
use crate::escape::excerpt;

/// The width of the bar of a span in characters.
const BAR: usize = 20;

/// Formats a trace as a line of the list.
pub(crate) fn summary(trace: &TraceSummary) -> String {
    let took = trace
        .ended_at
        .and_then(|end| end.duration_since(trace.started_at).ok());
    let took = took.map_or_else(|| "..".to_owned(), shown);
    let error = trace.error.as_ref();
    let error = error.map(|error| format!("  {}: {}", error.kind, excerpt(&error.message)));
    // `trace show` takes the beginning of an id, so these digits are enough to name the trace.
    let id: String = trace.id().to_string().chars().take(8).collect();
    let cost = trace.usage.cost;
    let cost = cost.map(|_| format!("cost {}  ", usage::cost(&trace.usage)));
    format!(
        "{id}  {:<9}  {took:>8}  {:>2} turns  {:>7} tokens  {}{}{}{}",
        trace.status.as_str(),
        trace.n_turns,
        trace.usage.total_tokens,
        cost.unwrap_or_default(),
        trace.trace.name,
        trace
            .model
            .as_ref()
            .map(|model| format!(" on {model}"))
            .unwrap_or_default(),
        error.unwrap_or_default(),
    )
}

/// Formats a trace as a tree, with a bar that shows when each span was.
pub(crate) fn lines(trace: &TraceSummary, spans: &[Span]) -> Vec<String> {
    let tree = SpanTree::new(trace, spans);
    let mut lines = vec![format!(
        "{}  {}  {}",
        trace.id(),
        trace.status.as_str(),
        trace.trace.name
    )];
    for (depth, is_last, span) in tree.rows() {
        let mut indent = String::new();
        for is_last in is_last.iter().take(depth.saturating_sub(1)) {
            indent.push_str(if *is_last { "   " } else { "│  " });
        }
        let branch = match is_last.last() {
            Some(true) if depth > 0 => "└─ ",
            Some(false) if depth > 0 => "├─ ",
            _ => "",
        };
        let took = span
            .ended_at
            .and_then(|end| end.duration_since(span.started_at).ok());
        let took = took.map_or_else(|| "..".to_owned(), shown);
        let about = about(span);
        let about = if about.is_empty() {
            about
        } else {
            format!("  {about}")
        };
        lines.push(format!(
            "{took:>8} {} {indent}{branch}{}{}{about}",
            tree.bar(span),
            mark(span),
            span.name,
        ));
        if let Some(error) = &span.error {
            let message = error.message.lines().next().unwrap_or_default();
            let indent = " ".repeat(8 + 1 + BAR + 2 + 1 + 3 * depth);
            lines.push(format!("{indent}{}: {}", error.kind, excerpt(message)));
        }
    }
    lines
}

fn mark(span: &Span) -> &'static str {
    match span.status {
        SpanStatus::Error => "✗ ",
        SpanStatus::Cancelled => "■ ",
        SpanStatus::Paused => "‖ ",
        SpanStatus::Lost => "? ",
        _ if span.is_replayed() => "↺ ",
        _ => "",
    }
}

/// Describes a span, beside its name.
fn about(span: &Span) -> String {
    let number = |name: &str| span.attribute(name).and_then(Value::as_u64);
    let content = |name: &str| Some(excerpt(&span.content(name)?.to_text()));
    let tokens = || {
        let (input, output) = (
            number("gen_ai.usage.input_tokens")?,
            number("gen_ai.usage.output_tokens")?,
        );
        let cost = span.attribute("openai_agents.cost").and_then(Value::as_str);
        let cost = cost.map(|cost| format!(", cost {cost}"));
        Some(format!(
            "{input} in, {output} out{}",
            cost.unwrap_or_default()
        ))
    };
    match span.kind {
        SpanKind::Generation => {
            let first = span.attribute("gen_ai.response.time_to_first_chunk");
            let first = first.and_then(Value::as_f64).map(|seconds| {
                format!(
                    "first token after {}",
                    shown(Duration::from_secs_f64(seconds))
                )
            });
            let said = [tokens(), first];
            said.into_iter().flatten().collect::<Vec<_>>().join(", ")
        }
        SpanKind::Task => tokens().unwrap_or_default(),
        SpanKind::Function => {
            let (arguments, result) = (content("arguments"), content("result"));
            match (arguments, result) {
                (Some(arguments), Some(result)) => format!("{arguments} → {result}"),
                (Some(arguments), None) => arguments,
                (None, _) => String::new(),
            }
        }
        SpanKind::Session => {
            let items = number("openai_agents.items");
            items.map(|n| format!("{n} items")).unwrap_or_default()
        }
        _ => String::new(),
    }
}

/// Formats a duration with a unit that suits it.
fn shown(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds >= 60.0 => {
            format!("{} min {:02} s", time.as_secs() / 60, time.as_secs() % 60)
        }
        seconds if seconds >= 1.0 => format!("{seconds:.2} s"),
        seconds if seconds >= 0.001 => format!("{:.0} ms", seconds * 1e3),
        seconds => format!("{:.0} µs", seconds * 1e6),
    }
}

struct SpanTree<'a> {
    spans: &'a [Span],
    start: SystemTime,
    took: f64,
}

impl<'a> SpanTree<'a> {
    fn new(trace: &TraceSummary, spans: &'a [Span]) -> Self {
        let ends = spans.iter().filter_map(|span| span.ended_at);
        let end = ends.chain(trace.ended_at).max().unwrap_or(trace.started_at);
        let took = end.duration_since(trace.started_at).unwrap_or_default();
        Self {
            spans,
            start: trace.started_at,
            took: took.as_secs_f64().max(1e-6),
        }
    }

    /// Returns the spans in the order of the tree, each with its depth and, for each level, whether
    /// it is the last there.
    fn rows(&self) -> Vec<(usize, Vec<bool>, &'a Span)> {
        let mut sorted: Vec<&Span> = self.spans.iter().collect();
        // A parent starts before its child, or with it and ends later.
        sorted.sort_by_key(|span| (span.started_at, std::cmp::Reverse(span.ended_at)));
        let is_known = |span: &&Span| self.spans.iter().any(|other| Some(other.id) == span.parent);
        let roots: Vec<&Span> = sorted
            .iter()
            .copied()
            .filter(|span| !is_known(span))
            .collect();
        let mut children = std::collections::HashMap::<_, Vec<&Span>>::new();
        for span in sorted.iter().copied().filter(is_known) {
            children.entry(span.parent).or_default().push(span);
        }
        let mut rows = Vec::new();
        // Without recursion, because agents can call each other as tools without a limit on the depth.
        let mut open: Vec<(Vec<bool>, &Span)> = Vec::new();
        for (n, root) in roots.iter().enumerate().rev() {
            open.push((vec![n + 1 == roots.len()], root));
        }
        while let Some((is_last, span)) = open.pop() {
            let below = children.get(&Some(span.id)).map_or(&[][..], Vec::as_slice);
            for (n, child) in below.iter().enumerate().rev() {
                let mut path = is_last.clone();
                path.push(n + 1 == below.len());
                open.push((path, child));
            }
            let depth = is_last.len() - 1;
            rows.push((depth, is_last.into_iter().skip(1).collect(), span));
        }
        rows
    }

    /// Returns when a span was, as fractions of the whole trace.
    fn part(&self, span: &Span) -> (f64, f64) {
        let at = |time: SystemTime| {
            let since = time.duration_since(self.start).unwrap_or_default();
            (since.as_secs_f64() / self.took).clamp(0.0, 1.0)
        };
        (at(span.started_at), span.ended_at.map_or(1.0, at))
    }

    fn bar(&self, span: &Span) -> String {
        let (from, to) = self.part(span);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "both are from 0 to the width of the bar"
        )]
        let at = |part: f64| (part * BAR as f64).round() as usize;
        let from = at(from).min(BAR - 1);
        // At least one character, so that a short span is visible.
        let to = at(to).clamp(from + 1, BAR);
        let bar = (0..BAR).map(|n| if n >= from && n < to { '█' } else { ' ' });
        format!("▕{}▏", bar.collect::<String>())
    }
}

/// Writes a trace as one page: the tree, and the content of each span below it. The page runs no
/// script and loads nothing.
pub(crate) fn html(trace: &TraceSummary, spans: &[Span]) -> String {
    let tree = SpanTree::new(trace, spans);
    let mut page = String::new();
    let title = escaped(&format!("{} {}", trace.trace.name, trace.id()));
    // Writing to a `String` cannot fail.
    let _written = write!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n\
         <meta http-equiv=\"content-security-policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<style>{STYLE}</style></head><body>\n\
         <h1>{}</h1><p>{}</p>\n",
        escaped(&trace.trace.name),
        escaped(&summary(trace)),
    );
    for (depth, _, span) in tree.rows() {
        let (from, to) = tree.part(span);
        let took = span
            .ended_at
            .and_then(|end| end.duration_since(span.started_at).ok());
        let _written = writeln!(
            page,
            "<details id=\"{}\" class=\"{}\"><summary style=\"padding-left:{}ch\"><span class=\"bar\"><i style=\"margin-left:{:.2}%;width:{:.2}%\"></i></span>{}{} <small>{} {}</small>{}</summary>",
            span.id,
            span.status.as_str(),
            2 * depth,
            from * 100.0,
            ((to - from) * 100.0).max(0.5),
            mark(span),
            escaped(&span.name),
            took.map(shown).unwrap_or_default(),
            escaped(&about(span)),
            match &span.error {
                Some(error) => {
                    let error = format!("{}: {}", error.kind, error.message);
                    format!("<div class=\"why\">{}</div>", escaped(&error))
                }
                None => String::new(),
            },
        );
        for (name, value) in &span.attributes {
            let _written = writeln!(
                page,
                "<div><b>{}</b> {}</div>",
                escaped(name),
                escaped(&value.to_string())
            );
        }
        for (name, content) in &span.content {
            let text = content.to_text();
            let pretty = serde_json::from_str::<Value>(&text);
            let text = pretty.map_or(text, |value| format!("{value:#}"));
            let _written = writeln!(
                page,
                "<b>{}</b><pre>{}</pre>",
                escaped(name),
                escaped(&text)
            );
        }
        page.push_str("</details>\n");
    }
    page.push_str("</body></html>");
    page
}

const STYLE: &str = "body{font:14px/1.5 system-ui,sans-serif;margin:2em auto;max-width:70em;padding:0 1em;color-scheme:light dark}\
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#8882;padding:.6em;border-radius:6px}\
details{border-bottom:1px solid #8884}summary{cursor:pointer;padding:.25em 0;overflow-wrap:anywhere}\
.bar{display:inline-block;width:10em;background:#8882;margin-right:1em;vertical-align:middle;line-height:0}\
.bar i{display:block;height:.6em;background:#4a8}.error .bar i{background:#d33}.why{color:#d33}small{opacity:.75}";

/// Escapes a text for HTML.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}
