//! Items for the tool calls that were made on this server.

use serde_json::json;

use super::assembly::OutputList;
use super::json::{Json, LongText};
use crate::agent::Interruption;
use crate::item::{FunctionCall, FunctionCallOutput, Item, ItemKind};
use crate::server::ToolItems;

/// By what a call is known when its item begins.
#[derive(Debug, Clone, Copy)]
pub(super) enum CallKey<'a> {
    /// Its place in the model's response.
    Index(usize),
    CallId(&'a str),
}

/// The calls that have no output yet.
pub(super) struct Calls {
    style: ToolItems,
    /// The tools that the client runs.
    of_client: Vec<String>,
    open: Vec<OpenCall>,
    /// Calls that waited in an earlier response, with their place there.
    pub(super) resumed: Vec<OpenCall>,
}

pub(super) struct OpenCall {
    /// Its place in the output.
    at: usize,
    /// Its place in the model's response, until its id is known.
    index: Option<usize>,
    name: String,
    arguments: LongText,
    call_id: Option<String>,
    /// The agent that it hands off to.
    to: Option<String>,
    approval: Option<String>,
}

impl OpenCall {
    /// A call that was approved or rejected.
    pub(super) fn waiting(call: &Interruption, request_id: String) -> Self {
        Self {
            at: 0,
            index: None,
            name: call.tool.clone(),
            arguments: LongText::from(&*call.arguments),
            call_id: Some(call.call_id.clone()),
            to: None,
            approval: Some(request_id),
        }
    }
}

impl Calls {
    pub(super) const fn new(style: ToolItems, of_client: Vec<String>) -> Self {
        Self {
            style,
            of_client,
            open: Vec::new(),
            resumed: Vec::new(),
        }
    }

    /// Whether a tool is one that the client runs.
    pub(super) fn is_clients(&self, tool: &str) -> bool {
        self.of_client.iter().any(|name| name == tool)
    }

    /// As what the calls of a tool are shown.
    fn style_of(&self, tool: &str) -> ToolItems {
        if self.is_clients(tool) {
            ToolItems::FunctionCalls
        } else {
            self.style
        }
    }

    /// Shows that a call begins; an item that must have the call's id waits for it.
    pub(super) fn begin(
        &mut self,
        list: &mut OutputList,
        agent: &str,
        name: &str,
        known: CallKey<'_>,
    ) {
        let style = self.style_of(name);
        let (index, call_id) = match known {
            CallKey::Index(_) if style == ToolItems::FunctionCalls => return,
            CallKey::Index(index) => (Some(index), ""),
            CallKey::CallId(id) => (None, id),
        };
        let item = match style {
            ToolItems::McpCalls => json!({
                "type": "mcp_call", "id": null, "status": "in_progress", "approval_request_id": null, "arguments": "",
                "error": null, "name": name, "output": null, "server_label": agent,
            }),
            ToolItems::FunctionCalls => json!({
                "type": "function_call", "id": null, "status": "in_progress", "arguments": "", "call_id": call_id, "name": name,
            }),
        };
        let at = list.add(prefix(style), item);
        if style == ToolItems::McpCalls {
            list.tell(at, "response.mcp_call.in_progress", json!({}));
        }
        self.open.push(OpenCall {
            at,
            index,
            name: name.to_owned(),
            arguments: LongText::default(),
            call_id: None,
            to: None,
            approval: None,
        });
    }

    pub(super) fn more_arguments(&mut self, list: &mut OutputList, index: usize, delta: &str) {
        let kind = arguments_event(self.style, "delta");
        let is_meant = |call: &&mut OpenCall| call.call_id.is_none() && call.index == Some(index);
        if let Some(call) = self.open.iter_mut().find(is_meant) {
            let fields = Json::from(json!({})).with("delta", call.arguments.push(delta));
            list.tell(call.at, kind, fields);
        }
    }

    /// Takes a call that is whole.
    pub(super) fn called(&mut self, list: &mut OutputList, agent: &str, call: &FunctionCall) {
        // While it streamed, the call was known by its place only. Now its name and its id are
        // known, and the first open one of this name is taken for it.
        let is_meant = |open: &OpenCall| open.call_id.is_none() && open.name == call.name;
        if !self.open.iter().any(is_meant) {
            self.begin(list, agent, &call.name, CallKey::CallId(&call.call_id));
        }
        let style = self.style_of(&call.name);
        let (delta, done) = (
            arguments_event(style, "delta"),
            arguments_event(style, "done"),
        );
        let Some(open) = self.open.iter_mut().find(|open| is_meant(open)) else {
            return;
        };
        let had_deltas = !open.arguments.is_empty();
        if open.arguments != *call.arguments {
            open.arguments = LongText::from(&*call.arguments);
        }
        let arguments = Json::from(json!({})).with("arguments", &open.arguments);
        // A client that puts the deltas together must get the same arguments as one that waits for
        // the end.
        if !had_deltas && !call.arguments.is_empty() {
            let fields = Json::from(json!({})).with("delta", &open.arguments);
            list.tell(open.at, delta, fields);
        }
        open.call_id = Some(call.call_id.clone());
        list.change(open.at, arguments.clone());
        list.tell(open.at, done, arguments.with("name", json!(call.name)));
        if style == ToolItems::FunctionCalls {
            list.change(
                open.at,
                json!({"call_id": call.call_id, "status": "completed"}),
            );
            list.done(open.at);
        }
    }

    pub(super) fn hands_off(&mut self, call_id: &str, to: &str) {
        let call = self
            .open
            .iter_mut()
            .find(|call| call.call_id.as_deref() == Some(call_id));
        if let Some(call) = call {
            call.to = Some(to.to_owned());
        }
    }

    /// Ends the call by which the conversation went to another agent.
    pub(super) fn handed_off(&mut self, list: &mut OutputList, to: &str) {
        let at = self
            .open
            .iter()
            .position(|call| call.to.as_deref() == Some(to));
        if let Some(at) = at {
            let call = self.open.remove(at);
            self.close(list, &call, Ok(&json!({"assistant": to}).to_string()));
        }
    }

    /// Ends a call with what its tool gave, or with what the model is told of its failure.
    pub(super) fn output(
        &mut self,
        list: &mut OutputList,
        (agent, name): (&str, &str),
        call_id: &str,
        outcome: Result<&str, &str>,
    ) {
        let is_meant = |call: &OpenCall| call.call_id.as_deref() == Some(call_id);
        if let Some(at) = self.open.iter().position(is_meant) {
            let call = self.open.remove(at);
            self.close(list, &call, outcome);
            return;
        }
        // The call is in an earlier response; the item that shows its output is in this one.
        let waited = self
            .resumed
            .iter()
            .position(is_meant)
            .map(|at| self.resumed.remove(at));
        // An `mcp_call` has call and output in one item, so it is shown again, with the arguments
        // that were kept. A `function_call_output` stands alone.
        if self.style == ToolItems::McpCalls {
            self.begin(list, agent, name, CallKey::CallId(call_id));
            if let Some(mut call) = self.open.pop() {
                let (arguments, approval) = waited
                    .map(|call| (call.arguments, call.approval))
                    .unwrap_or_default();
                let fields = Json::from(json!({"approval_request_id": approval}));
                list.change(call.at, fields.with("arguments", &arguments));
                call.call_id = Some(call_id.to_owned());
                self.close(list, &call, outcome);
            }
        } else {
            Self::function_output(list, call_id, outcome);
        }
    }

    /// A call waits for a decision, and its item stays as it is.
    pub(super) fn waits(&mut self, list: &mut OutputList, call_id: &str) {
        let at = self
            .open
            .iter()
            .position(|call| call.call_id.as_deref() == Some(call_id));
        if let Some(at) = at {
            let call = self.open.remove(at);
            self.cut_one(list, &call);
        }
    }

    /// Ends what is open with the outputs that stand in the conversation.
    pub(super) fn end(&mut self, list: &mut OutputList, agent: &str, items: &[Item]) {
        for call in std::mem::take(&mut self.open)
            .into_iter()
            .chain(std::mem::take(&mut self.resumed))
        {
            let outputs = items.iter().rev().filter_map(output_of);
            let mut outputs =
                outputs.filter(|output| Some(&output.call_id) == call.call_id.as_ref());
            let text = outputs.next().map(|output| output.output.text());
            if call.approval.is_some() {
                let (name, call_id) = (call.name.clone(), call.call_id.clone().unwrap_or_default());
                self.resumed.push(call);
                self.output(
                    list,
                    (agent, &name),
                    &call_id,
                    Ok(text.as_deref().unwrap_or_default()),
                );
            } else {
                self.close(list, &call, Ok(text.as_deref().unwrap_or_default()));
            }
        }
    }

    /// Ends what is open without an output.
    pub(super) fn cut(&mut self, list: &mut OutputList) {
        for call in std::mem::take(&mut self.open) {
            self.cut_one(list, &call);
        }
    }

    fn cut_one(&self, list: &mut OutputList, call: &OpenCall) {
        let is_done =
            self.style_of(&call.name) == ToolItems::FunctionCalls && call.call_id.is_some();
        if !is_done {
            let fields = Json::from(json!({"status": "incomplete"}));
            list.change(call.at, fields.with("arguments", &call.arguments));
            list.done(call.at);
        }
    }

    fn close(&self, list: &mut OutputList, call: &OpenCall, outcome: Result<&str, &str>) {
        if self.style == ToolItems::FunctionCalls {
            Self::function_output(list, call.call_id.as_deref().unwrap_or_default(), outcome);
            return;
        }
        let (kind, fields) = match outcome {
            Ok(output) => (
                "response.mcp_call.completed",
                json!({"status": "completed", "output": output}),
            ),
            Err(told) => (
                "response.mcp_call.failed",
                json!({"status": "failed", "error": {
                    "type": "mcp_tool_execution_error", "content": [{"type": "text", "text": told}],
                }}),
            ),
        };
        list.change(call.at, fields);
        list.tell(call.at, kind, json!({}));
        list.done(call.at);
    }

    fn function_output(list: &mut OutputList, call_id: &str, outcome: Result<&str, &str>) {
        let (Ok(output) | Err(output)) = outcome;
        let item = json!({
            "type": "function_call_output", "id": null, "status": "completed", "call_id": call_id, "output": output,
        });
        let at = list.add("fco", item);
        list.done(at);
    }
}

const fn prefix(style: ToolItems) -> &'static str {
    match style {
        ToolItems::McpCalls => "mcp",
        ToolItems::FunctionCalls => "fc",
    }
}

fn arguments_event(style: ToolItems, step: &str) -> &'static str {
    match (style, step) {
        (ToolItems::McpCalls, "delta") => "response.mcp_call_arguments.delta",
        (ToolItems::McpCalls, _) => "response.mcp_call_arguments.done",
        (ToolItems::FunctionCalls, "delta") => "response.function_call_arguments.delta",
        (ToolItems::FunctionCalls, _) => "response.function_call_arguments.done",
    }
}

fn output_of(item: &Item) -> Option<&FunctionCallOutput> {
    match item.kind() {
        ItemKind::FunctionCallOutput(output) => Some(output),
        _ => None,
    }
}
