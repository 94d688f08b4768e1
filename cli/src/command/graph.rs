//! `openai-agents graph`.

use std::collections::HashMap;
use std::fmt::Write as _;

use anyhow::Result;
use clap::{Args, ValueEnum};
use openai_agents::config::{AgentConfig, Config};

use crate::args::Global;
use crate::exit::Exit;
use crate::logging;
use crate::output::{Lines, is_read};

/// Draw the agents, their tools and their handoffs
///
/// Mermaid can be put into Markdown, DOT is for Graphviz, SVG is a picture that browsers show.
#[derive(Debug, Args)]
pub(crate) struct GraphArgs {
    /// Draw it in this form.
    #[arg(long, value_enum, default_value = "mermaid")]
    format: Format,
    /// Draw only this agent, and what its runs can reach.
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Mermaid,
    Dot,
    Svg,
}

pub(crate) fn run(global: Global, arguments: &GraphArgs) -> Result<Exit> {
    let config = global.load()?;
    logging::start(&config)?;
    config.check()?;
    let agents = match &arguments.agent {
        Some(name) => config.reachable(config.agent_config(name)?),
        None => config.agents().iter().collect(),
    };
    let drawing = Drawing::of(&agents, &config);
    let text = match arguments.format {
        Format::Mermaid => drawing.mermaid(),
        Format::Dot => drawing.dot(),
        Format::Svg => drawing.svg(),
    };
    let mut out = Lines::stdout();
    is_read(text.lines().try_for_each(|line| out.text(line)))?;
    Ok(Exit::Done)
}

/// The graph that is drawn.
struct Drawing {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
}

struct Node {
    label: String,
    kind: NodeKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum NodeKind {
    Agent,
    Tool,
}

struct Edge {
    from: usize,
    to: usize,
    label: &'static str,
}

impl Drawing {
    fn of(agents: &[&AgentConfig], config: &Config) -> Self {
        let mut drawing = Self {
            nodes: Vec::new(),
            edges: Vec::new(),
        };
        let mut known = HashMap::new();
        for agent in agents {
            let from = drawing.node(&mut known, &agent.name, NodeKind::Agent);
            for tool in &agent.tools {
                let to = drawing.node(&mut known, tool, NodeKind::Tool);
                drawing.edge(from, to, "tool");
            }
            for server in &agent.mcp_servers {
                let to = drawing.node(&mut known, server, NodeKind::Tool);
                drawing.edge(from, to, "MCP server");
            }
            let called = agent
                .agents_as_tools
                .iter()
                .map(|tool| (&tool.agent, "calls"));
            let handed = agent.handoffs.iter().map(|name| (name, "hands off to"));
            for (name, label) in called.chain(handed) {
                if config.agent_config(name).is_ok() {
                    let to = drawing.node(&mut known, name, NodeKind::Agent);
                    drawing.edge(from, to, label);
                }
            }
        }
        drawing
    }

    fn node(
        &mut self,
        known: &mut HashMap<(String, NodeKind), usize>,
        label: &str,
        kind: NodeKind,
    ) -> usize {
        *known.entry((label.to_owned(), kind)).or_insert_with(|| {
            self.nodes.push(Node {
                label: label.to_owned(),
                kind,
            });
            self.nodes.len() - 1
        })
    }

    fn edge(&mut self, from: usize, to: usize, label: &'static str) {
        self.edges.push(Edge { from, to, label });
    }

    fn mermaid(&self) -> String {
        let mut text = "flowchart LR\n".to_owned();
        for (n, node) in self.nodes.iter().enumerate() {
            // Mermaid has no backslash escapes in labels, only entities that begin with `#`.
            let label = node.label.replace('"', "#quot;");
            let (open, close) = match node.kind {
                NodeKind::Agent => ("[", "]"),
                NodeKind::Tool => ("([", "])"),
            };
            // Writing to a `String` cannot fail.
            let _written = writeln!(text, "  n{n}{open}\"{label}\"{close}");
        }
        for Edge { from, to, label } in &self.edges {
            let _written = writeln!(text, "  n{from} -->|{label}| n{to}");
        }
        text
    }

    fn dot(&self) -> String {
        let mut text = "digraph agents {\n  rankdir=LR;\n".to_owned();
        for (n, node) in self.nodes.iter().enumerate() {
            let label = node.label.replace('\\', r"\\").replace('"', "\\\"");
            let shape = match node.kind {
                NodeKind::Agent => "box",
                NodeKind::Tool => "ellipse",
            };
            let _written = writeln!(text, "  n{n} [label=\"{label}\", shape={shape}];");
        }
        for Edge { from, to, label } in &self.edges {
            let _written = writeln!(text, "  n{from} -> n{to} [label=\"{label}\"];");
        }
        text.push_str("}\n");
        text
    }

    /// Draws agents in a column on the left and tools in one on the right. That is enough for small
    /// graphs; larger ones are for Graphviz.
    fn svg(&self) -> String {
        const ROW: usize = 56;
        const WIDTH: usize = 220;
        let mut places = Vec::new();
        let (mut n_agents, mut n_tools) = (0, 0);
        for node in &self.nodes {
            let (x, row) = match node.kind {
                NodeKind::Agent => (20, &mut n_agents),
                NodeKind::Tool => (520, &mut n_tools),
            };
            places.push((x, 20 + *row * ROW));
            *row += 1;
        }
        let height = 20 + n_agents.max(n_tools) * ROW;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 760 {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
             <defs><marker id=\"a\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\"><path d=\"M0 0 L8 4 L0 8 z\"/></marker></defs>\n"
        );
        for Edge { from, to, label } in &self.edges {
            let (Some(start), Some(end)) = (places.get(*from), places.get(*to)) else {
                continue;
            };
            let (x1, y1) = (start.0 + WIDTH, start.1 + 18);
            // Agents are in the same column, so that an edge between two enters from the right.
            let (x2, bend) = if end.0 > start.0 {
                (end.0, 120)
            } else {
                (end.0 + WIDTH, 90)
            };
            let y2 = end.1 + if end.0 > start.0 { 18 } else { 26 };
            let x3 = if end.0 > start.0 {
                x2 - bend
            } else {
                x2 + bend
            };
            let _written = writeln!(
                svg,
                "<path d=\"M{x1} {y1} C{} {y1} {x3} {y2} {x2} {y2}\" fill=\"none\" stroke=\"#888\" marker-end=\"url(#a)\"><title>{label}</title></path>",
                x1 + bend,
            );
        }
        for (node, (x, y)) in self.nodes.iter().zip(&places) {
            let (fill, radius) = match node.kind {
                NodeKind::Agent => ("#dbe9ff", 4),
                NodeKind::Tool => ("#e6f4e1", 18),
            };
            let short: String = node.label.chars().take(28).collect();
            let _written = writeln!(
                svg,
                "<g><title>{}</title><rect x=\"{x}\" y=\"{y}\" width=\"{WIDTH}\" height=\"36\" rx=\"{radius}\" fill=\"{fill}\" stroke=\"#666\"/><text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text></g>",
                escaped(&node.label),
                x + WIDTH / 2,
                y + 23,
                escaped(&short),
            );
        }
        svg.push_str("</svg>\n");
        svg
    }
}

/// Escapes a text for XML.
fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}
