//! The same input as OpenAI's own library got, and its result; `tests/fixtures/harmony/differences.json` lists where we differ.

use super::*;

fn fixture(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/harmony")
        .join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn cases(name: &str) -> Vec<Value> {
    let text = fixture(name);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Compares with the library; a listed difference must be one, and be the one that is listed.
fn compare(kind: &str, results: Vec<(String, Value, Value)>) {
    let differences: Value = serde_json::from_str(&fixture("differences.json")).unwrap();
    let listed = differences[kind].as_object().unwrap();
    let mut wrong = Vec::new();
    let n_results = results.len();
    for (name, ours, theirs) in results {
        match listed.get(&name) {
            None if ours == theirs => {}
            None => wrong.push(format!("{name:?}\n  ours   {ours}\n  theirs {theirs}")),
            Some(_) if ours == theirs => wrong.push(format!("{name:?} is listed and equal")),
            Some(difference) => {
                let ours = new_lines(&ours, &theirs).unwrap_or(ours);
                let listed = &difference["ours"];
                if *listed != ours {
                    wrong.push(format!(
                        "{name:?} differs otherwise\n  ours   {ours}\n  listed {listed}"
                    ));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {n_results}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Returns the lines of our text that theirs does not have.
fn new_lines(ours: &Value, theirs: &Value) -> Option<Value> {
    let known: Vec<&str> = theirs.as_str()?.lines().collect();
    let new = ours.as_str()?.lines().filter(|line| !known.contains(line));
    Some(new.collect())
}

fn request_of(case: &Value) -> ModelRequest {
    let items = case["items"].as_array().unwrap().iter();
    let mut request = ModelRequest::new(
        items
            .map(|item| Item::from_json(&item.to_string()).unwrap())
            .collect::<Vec<_>>(),
    );
    request.instructions = case["instructions"].as_str().map(Into::into);
    let specs = case["tools"].as_array().into_iter().flatten().map(|tool| {
        let name = ToolName::new(tool["name"].as_str().unwrap()).unwrap();
        ToolSpec::new(
            name,
            tool["description"].as_str().unwrap(),
            tool["parameters"].clone(),
        )
    });
    request.tools = Arc::new(ToolSet::new(specs.collect()));
    if let Some(effort) = case["effort"].as_str() {
        request.settings = Arc::new(ModelSettings::default().reasoning_effort(effort));
    }
    request
}

#[test]
fn conversations_are_rendered_as_openai_renders_them() {
    let results = cases("render.jsonl").into_iter().map(|case| {
        let ours = render(&request_of(&case), case["date"].as_str()).unwrap();
        let name = case["name"].as_str().unwrap().to_owned();
        (name, json!(ours), case["rendered"].clone())
    });
    compare("render", results.collect());
}

/// Parses a text as the model's completion; the error stands for where it was found.
fn parsed(text: &str) -> Value {
    let mut parser = HarmonyParser::of_completion();
    parser.push(text);
    let mut messages: Vec<Value> = Vec::new();
    let mut take = |piece| match piece {
        Piece::Header(header) => messages.push(message_of(&header)),
        Piece::Content(text) => {
            let content = &mut messages.last_mut().unwrap()["text"];
            *content = json!(format!("{}{text}", content.as_str().unwrap()));
        }
        Piece::End(_) => {}
    };
    loop {
        match parser.next_piece() {
            Ok(Some(piece)) => take(piece),
            Ok(None) => break,
            Err(_) => return json!("error"),
        }
    }
    match parser.finish() {
        Ok((held, Rest::Between | Rest::Content)) => held.into_iter().for_each(take),
        Ok((_, Rest::Header)) | Err(_) => return json!("error"),
    }
    json!(messages)
}

fn message_of(header: &Header) -> Value {
    let role = match &header.author {
        Author::Tool(_) => "tool",
        author => author.as_str(),
    };
    let name = match &header.author {
        Author::Tool(name) => Some(name),
        _ => None,
    };
    json!({
        "role": role, "name": name, "channel": header.channel, "recipient": header.recipient,
        "content_type": header.content_type, "text": "",
    })
}

#[test]
fn completions_are_parsed_as_openai_parses_them() {
    let results = cases("parse.jsonl").into_iter().map(|case| {
        let text = case["text"].as_str().unwrap();
        let mut theirs = if case["error"].is_null() {
            case["messages"].clone()
        } else {
            json!("error")
        };
        // The library leaves the mark on the content type.
        for message in theirs.as_array_mut().into_iter().flatten() {
            if let Some(content_type) = message["content_type"].as_str() {
                message["content_type"] =
                    json!(content_type.trim_start_matches(Token::Constrain.as_str()));
            }
        }
        (text.to_owned(), parsed(text), theirs)
    });
    compare("parse", results.collect());
}
