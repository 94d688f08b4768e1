//! Finds tools by words: those of their names, groups, descriptions and parameters.

use std::collections::{HashMap, HashSet};

use super::FunctionTool;

/// How many tools one search finds: more would cost what deferring them saves.
const MAX_FOUND: usize = 8;

/// What a word of the name says of a tool, beside one of its description; one that only begins alike (`issue`, `issues`) says half.
const OF_NAME: f64 = 4.0;
const OF_DESCRIPTION: f64 = 1.0;

/// Returns the tools that fit best, the best first; those that fit alike in their own order.
///
/// A word counts for more the fewer tools have it. A tool that is called like the query is what is looked for, and no other.
pub(crate) fn search<'a>(
    tools: impl Iterator<Item = &'a FunctionTool>,
    query: &str,
) -> Vec<&'a FunctionTool> {
    let tools: Vec<&'a FunctionTool> = tools.collect();
    let is_named = |tool: &&&FunctionTool| tool.name().eq_ignore_ascii_case(query.trim());
    if let Some(named) = tools.iter().find(is_named) {
        return vec![*named];
    }
    let wanted: HashSet<String> = words(query).collect();
    let tools: Vec<ToolWords<'a>> = tools.into_iter().map(ToolWords::new).collect();
    let mut n_tools_with: HashMap<&str, usize> = HashMap::new();
    for word in &wanted {
        let n_tools = tools.iter().filter(|tool| tool.weight(word) > 0.0).count();
        n_tools_with.insert(word, n_tools);
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "nobody has so many tools that it matters"
    )]
    let rarity = |word: &str| {
        let n_tools = n_tools_with.get(word).copied().unwrap_or_default().max(1);
        (1.0 + tools.len() as f64 / n_tools as f64).ln()
    };
    let mut found: Vec<(f64, &'a FunctionTool)> = tools
        .iter()
        .map(|tool| {
            // Summed in an order of their own, floats could differ in the last place from run to run.
            let mut weights: Vec<f64> = wanted
                .iter()
                .map(|word| tool.weight(word) * rarity(word))
                .collect();
            weights.sort_by(f64::total_cmp);
            (weights.iter().sum(), tool.tool)
        })
        .filter(|(weight, _)| *weight > 0.0)
        .collect();
    found.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    found.truncate(MAX_FOUND);
    found.into_iter().map(|(_, tool)| tool).collect()
}

/// A tool with the words by which it is found.
struct ToolWords<'a> {
    tool: &'a FunctionTool,
    name: Vec<String>,
    description: HashSet<String>,
}

impl<'a> ToolWords<'a> {
    fn new(tool: &'a FunctionTool) -> Self {
        let spec = tool.spec();
        let group = tool.tool_namespace();
        let name = group.map_or("", |group| &*group.name);
        let about = group.map_or("", |group| &*group.description);
        let parameters = spec.parameters.get("properties");
        let parameters = parameters.and_then(serde_json::Value::as_object);
        let parameters = parameters.into_iter().flat_map(|all| all.keys());
        Self {
            tool,
            name: words(name).chain(words(&spec.name)).collect(),
            description: words(&spec.description)
                .chain(words(about))
                .chain(parameters.flat_map(|name| words(name)))
                .collect(),
        }
    }

    fn weight(&self, word: &str) -> f64 {
        let of_name = likeness(word, self.name.iter());
        // Articles and the like, which all descriptions have; a word of another script has more bytes.
        let says_something = word.len() >= 3;
        let description = self.description.iter().filter(|_| says_something);
        (OF_NAME * of_name).max(OF_DESCRIPTION * likeness(word, description))
    }
}

/// 1 if the word is one of these, a half if it begins like one.
fn likeness<'a>(word: &str, words: impl Iterator<Item = &'a String>) -> f64 {
    let likeness = words.map(|other| {
        let alike = word.chars().zip(other.chars());
        let n_alike = alike.take_while(|(one, other)| one == other).count();
        let n_longer = word.chars().count().max(other.chars().count());
        match n_alike {
            n_alike if n_alike == n_longer => 1.0,
            // `calculate` and `calculator` have eight of ten.
            n_alike if n_alike >= 3 && n_alike * 5 >= n_longer * 3 => 0.5,
            _ => 0.0,
        }
    });
    likeness.fold(0.0, f64::max)
}

/// The words of a text, in small letters; `createIssue` and `create_issue` have the same two.
fn words(text: &str) -> impl Iterator<Item = String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut was_lowercase = false;
    for character in text.chars() {
        let begins = character.is_uppercase() && was_lowercase;
        if (begins || !character.is_alphanumeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if character.is_alphanumeric() {
            word.extend(character.to_lowercase());
        }
        was_lowercase = character.is_lowercase();
    }
    words.push(word);
    words.into_iter().filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tools::{ToolNamespace, ToolOptions};

    fn tool(name: &str, description: &str) -> FunctionTool {
        let parameters =
            json!({"type": "object", "properties": {"repository": {"type": "string"}}});
        let options = ToolOptions::default();
        let call = async |_, _| Ok::<_, String>("done");
        FunctionTool::dynamic(name, description, parameters, options, call).unwrap()
    }

    #[test]
    fn search_of_words_gives_the_tools_that_fit_best_first() {
        let crm = ToolNamespace::new("crm", "Customers and their orders.").unwrap();
        let tools = [
            tool("create_issue", "Opens an issue."),
            tool("list_issues", "Lists what is open."),
            tool("close", "Closes an issue."),
            tool("sendMail", "Sends a mail to a customer."),
            tool("lookup", "Finds one.").namespace(crm),
        ];
        for (query, expected) in [
            ("issue", &["create_issue", "list_issues", "close"][..]),
            ("create an issue", &["create_issue", "list_issues", "close"]),
            ("Create-Issue!", &["create_issue", "list_issues", "close"]),
            ("close", &["close"]),
            ("mail", &["sendMail"]),
            ("sendmail", &["sendMail"]),
            ("customers", &["lookup", "sendMail"]),
            ("creation", &["create_issue"]),
            ("CRM", &["lookup"]),
            ("weather", &[]),
            ("", &[]),
            ("?!", &[]),
        ] {
            let found = search(tools.iter(), query);
            let names: Vec<&str> = found.iter().map(|tool| &**tool.name()).collect();
            assert_eq!(names, expected, "{query}");
        }
    }

    #[test]
    fn search_of_what_all_tools_have_gives_eight() {
        let tools: Vec<_> = (0..500).map(|n| tool(&format!("t{n}"), "Reads.")).collect();
        assert_eq!(search(tools.iter(), "repository").len(), MAX_FOUND);
        let last = search(tools.iter(), "t499");
        assert_eq!(&**last[0].name(), "t499");
    }
}
