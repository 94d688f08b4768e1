//! How much a summary says: the first paragraph of what documents a public item, by which a list of items is read.

use super::source::Source;

const MAX_WORDS: usize = 15;

fn check_summaries(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut docs: Vec<&str> = Vec::new();
    let mut is_in_attribute = false;
    for (n, line) in source.text.lines().map(str::trim).enumerate() {
        if let Some(doc) = line.strip_prefix("///") {
            docs.push(doc);
            continue;
        }
        if is_in_attribute || line.starts_with("#[") {
            is_in_attribute = !line.ends_with(']');
            continue;
        }
        let summary = docs.iter().take_while(|doc| !doc.trim().is_empty());
        let n_words = summary.flat_map(|doc| doc.split_whitespace()).count();
        if line.starts_with("pub ") && n_words > MAX_WORDS {
            complaints.push(format!(
                "{}:{}: a summary of {n_words} words, over the limit of {MAX_WORDS}",
                source.path,
                n + 1
            ));
        }
        docs.clear();
    }
    complaints
}

#[test]
fn summaries_of_public_items_are_short() {
    let sources = super::sources(&["src", "plugin-sdk/src", "macros/src"]);
    let complaints: Vec<_> = sources.iter().flat_map(check_summaries).collect();
    super::assert_none(&complaints);
}

#[test]
fn the_summary_check_counts_the_first_paragraph_of_what_is_public() {
    let words = |n: usize| format!("/// {}\n", "word ".repeat(n));
    let complains = |text: String| !check_summaries(&Source::new("src/a.rs", &text)).is_empty();
    let attribute = "#[cfg_attr(\n    unix,\n    must_use\n)]\n";
    assert!(complains(words(16) + attribute + "pub fn f() {}"));
    assert!(complains(words(8) + &words(8) + "pub struct S;"));
    assert!(!complains(words(15) + "pub fn f() {}"));
    assert!(!complains(words(8) + "///\n" + &words(8) + "pub fn f() {}"));
    assert!(!complains(words(16) + "fn f() {}"));
    assert!(!complains(words(16) + "pub(crate) fn f() {}"));
}
