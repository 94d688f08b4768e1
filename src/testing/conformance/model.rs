//! What every model must do.

use futures_util::StreamExt;

use super::{NonConformance, differs};
use crate::item::{FunctionCall, ItemKind};
use crate::kind::ErrorKind;
use crate::model::{Delivery, Model, ModelError, ModelEvent, ModelRequest, ResponseAccumulator};

/// Checks the answers of a model against what [`Model`] promises.
///
/// It says what the model does otherwise.
///
/// The request is made twice, to be answered whole and in pieces. The answers need not be alike; each must be a text or tool calls, with
/// each item complete in an [`ItemDone`](ModelEvent::ItemDone) behind its deltas, and one [`ResponseDone`](ModelEvent::ResponseDone) at
/// the end.
///
/// ```
/// use openai_agents::Item;
/// use openai_agents::model::ModelRequest;
/// use openai_agents::testing::{ScriptedModel, ScriptedTurn, model_conformance};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), openai_agents::testing::NonConformance> {
/// let model = ScriptedModel::new([ScriptedTurn::text("Hello."), ScriptedTurn::text("Hello.")]);
/// model_conformance(&model, ModelRequest::new(vec![Item::user("Hi")])).await
/// # }
/// ```
///
/// # Errors
///
/// [`NonConformance`] names the first promise that is not kept, and what was seen.
///
/// # Cancel safety
///
/// When the future is dropped, the request that is under way ends.
pub async fn model_conformance(
    model: &dyn Model,
    mut request: ModelRequest,
) -> Result<(), NonConformance> {
    request.delivery = Delivery::Whole;
    let whole = events(model, request.clone()).await?;
    let n_deltas = whole.iter().filter(|event| is_delta(event)).count();
    differs(
        "an answer that was asked for whole has no deltas",
        &0,
        &n_deltas,
    )?;
    check(whole)?;
    request.delivery = Delivery::Stream;
    check(events(model, request).await?)
}

async fn events(
    model: &dyn Model,
    request: ModelRequest,
) -> Result<Vec<ModelEvent>, NonConformance> {
    let mut stream = model.call(request);
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        let promise = "a request that can be answered is answered";
        events.push(event.map_err(|source| NonConformance::ModelFailed { promise, source })?);
    }
    Ok(events)
}

const fn is_delta(event: &ModelEvent) -> bool {
    matches!(
        event,
        ModelEvent::TextDelta { .. }
            | ModelEvent::RefusalDelta { .. }
            | ModelEvent::ReasoningDelta { .. }
            | ModelEvent::ToolCallStarted { .. }
            | ModelEvent::ToolCallDelta { .. }
    )
}

/// What the deltas of an answer add up to.
#[derive(Default)]
struct Deltas {
    text: String,
    is_streamed: bool,
    calls: Vec<[String; 3]>,
}

impl Deltas {
    fn push(&mut self, event: &ModelEvent) -> Result<(), NonConformance> {
        match event {
            ModelEvent::TextDelta { delta } => {
                self.is_streamed = true;
                self.text.push_str(delta);
            }
            ModelEvent::ToolCallStarted {
                index,
                call_id,
                name,
            } => {
                let promise = "calls are counted from 0 in the order in which they begin";
                differs(promise, &self.calls.len(), index)?;
                self.calls
                    .push([call_id.clone(), name.clone(), String::new()]);
            }
            ModelEvent::ToolCallDelta { index, delta, .. } => {
                let promise = "a piece of a call comes behind the call's beginning";
                let Some([.., arguments]) = self.calls.get_mut(*index) else {
                    return differs(promise, &self.calls.len(), index);
                };
                arguments.push_str(delta);
            }
            _ => {}
        }
        Ok(())
    }
}

fn check(events: Vec<ModelEvent>) -> Result<(), NonConformance> {
    let is_end = |event: &ModelEvent| matches!(event, ModelEvent::ResponseDone(_));
    let n_ends = events.iter().filter(|event| is_end(event)).count();
    differs("an answer ends with one `ResponseDone`", &1, &n_ends)?;
    let ends_last = events.last().is_some_and(is_end);
    differs("nothing comes behind `ResponseDone`", &true, &ends_last)?;
    let (mut deltas, mut fold) = (Deltas::default(), ResponseAccumulator::default());
    for event in events {
        deltas.push(&event)?;
        fold.push(event);
    }
    let promise = "an answer ends with one `ResponseDone`";
    let response = fold
        .finish()
        .map_err(|source| NonConformance::ModelFailed { promise, source })?;
    let (mut text, mut calls) = (String::new(), Vec::new());
    for item in &response.items {
        match item.kind() {
            ItemKind::Message(message) => text.push_str(&message.text("")),
            ItemKind::FunctionCall(FunctionCall {
                call_id,
                name,
                arguments,
                ..
            }) => calls.push([call_id.clone(), name.clone(), arguments.clone()]),
            _ => {}
        }
    }
    if deltas.is_streamed {
        let promise = "what the text's deltas add up to comes in an `ItemDone` as well";
        differs(promise, &deltas.text, &text)?;
    }
    if !deltas.calls.is_empty() {
        let promise = "a call's id, and what its deltas add up to, come in an `ItemDone` as well";
        differs(promise, &deltas.calls, &calls)?;
    }
    if response.items.is_empty() {
        let promise = "an answer has an item: a message, or a call";
        let source = ModelError::new(ErrorKind::EmptyResponse, "there was no `ItemDone`");
        return Err(NonConformance::ModelFailed { promise, source });
    }
    Ok(())
}
