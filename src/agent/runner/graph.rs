//! The agents that a run can come to.

use std::collections::HashMap;
use std::sync::Arc;

use crate::agent::{Agent, BoundHandoff, Target};
use crate::context::{StateType, States};
use crate::error::SetupError;

/// The agents that can be reached by handoffs from where a run begins, by name.
#[derive(Default)]
pub(super) struct Graph {
    /// An agent without handoffs, which is most agents: no map is made for it.
    only: Option<Agent>,
    agents: HashMap<Arc<str>, Agent>,
}

impl Graph {
    /// Follows all handoffs; names are looked up among what was reached, and then among what is registered.
    pub(super) fn new(start: &Agent, registered: &[Agent]) -> Result<Self, SetupError> {
        let mut graph = Self::default();
        if start.bound_handoffs().is_empty() {
            graph.only = Some(start.clone());
            return Ok(graph);
        }
        let mut named = Vec::new();
        graph.reach(start, &mut named)?;
        let mut n_looked_up = 0;
        // The list grows while it is walked: an agent that is found by its name brings names of its own.
        while let Some((from, to)) = named.get(n_looked_up).cloned() {
            n_looked_up += 1;
            if graph.agents.contains_key(&to) {
                continue;
            }
            let Some(agent) = registered.iter().find(|agent| agent.name() == &*to) else {
                return Err(graph.unknown(&from, &to, registered));
            };
            graph.reach(agent, &mut named)?;
        }
        Ok(graph)
    }

    /// Adds an agent and all that it holds; notes the names to be looked up.
    fn reach(
        &mut self,
        start: &Agent,
        named: &mut Vec<(Arc<str>, Arc<str>)>,
    ) -> Result<(), SetupError> {
        // A list and no recursion: handoffs may form circles, and chains of any length.
        let mut waiting = vec![start.clone()];
        while let Some(agent) = waiting.pop() {
            let name = agent.shared_name();
            match self.agents.get(&name) {
                // Reached on another way. Two different agents of one name are refused, because
                // handoffs and saved states find agents by name.
                Some(known) if known.is_same(&agent) => continue,
                Some(_) => {
                    let name = name.to_string();
                    return Err(SetupError::SameName { name });
                }
                None => {}
            }
            for handoff in agent.bound_handoffs() {
                match &handoff.target {
                    Target::Agent(next) => waiting.push(next.clone()),
                    Target::Name(next) => named.push((Arc::clone(&name), Arc::clone(next))),
                }
            }
            self.agents.insert(name, agent);
        }
        Ok(())
    }

    fn unknown(&self, from: &str, to: &str, registered: &[Agent]) -> SetupError {
        let registered = registered.iter().map(Agent::name);
        let mut known: Vec<String> = self
            .agents
            .keys()
            .map(|name| &**name)
            .chain(registered)
            .map(str::to_owned)
            .collect();
        known.sort_unstable();
        known.dedup();
        SetupError::UnknownAgent {
            from: from.to_owned(),
            to: to.to_owned(),
            known,
        }
    }

    /// Finds an agent by its name.
    pub(super) fn agent(&self, name: &str) -> Option<&Agent> {
        let only = self.only.as_ref().filter(|agent| agent.name() == name);
        only.or_else(|| self.agents.get(name))
    }

    /// Finds the agent of a handoff of an agent of this graph.
    pub(super) fn target<'a>(&'a self, handoff: &'a BoundHandoff) -> Option<&'a Agent> {
        match &handoff.target {
            Target::Agent(agent) => Some(agent),
            Target::Name(name) => self.agent(name),
        }
    }

    /// All agents.
    pub(super) fn agents(&self) -> impl Iterator<Item = &Agent> {
        self.only.iter().chain(self.agents.values())
    }

    /// Finds out whether a tool would be called in vain, before anything is asked.
    ///
    /// Not one that is offered under a condition: this run may never see it.
    pub(super) fn check_state(&self, states: &States) -> Result<(), SetupError> {
        for agent in self.agents() {
            for tool in agent.tools().iter().filter(|tool| tool.is_unconditional()) {
                let lacks = |needed: &StateType| states.check(*needed).err();
                if let Some(missing) = tool.required_state().iter().find_map(lacks) {
                    return Err(SetupError::MissingState {
                        agent: agent.name().to_owned(),
                        tool: tool.name().to_string(),
                        missing,
                    });
                }
            }
        }
        Ok(())
    }

    /// The first agent that has a handoff with a filter of its own.
    pub(super) fn with_filter(&self) -> Option<&Agent> {
        let has_filter = |agent: &&Agent| {
            agent
                .bound_handoffs()
                .iter()
                .any(|handoff| handoff.filter.is_some())
        };
        self.agents.values().find(has_filter)
    }

    /// An agent that has a handoff.
    pub(super) fn first_with_handoffs(&self) -> Option<&Agent> {
        self.agents
            .values()
            .find(|agent| !agent.bound_handoffs().is_empty())
    }
}
