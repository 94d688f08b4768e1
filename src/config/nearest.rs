//! Suggests the known name that a misspelt one probably meant.

const MAX_BYTES: usize = 200;

/// Returns the candidate that is most like a name, if it is near enough to be what was meant.
pub(super) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // Comparing takes time by the product of the lengths, and no setting has a name this long.
    if name.len() > MAX_BYTES {
        return None;
    }
    // A third of the letters may differ, and one more: `modle` means `model`, `port` does not.
    let limit = (name.chars().count() / 3).max(1) + 1;
    candidates
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Computes the Levenshtein distance, with one row of the matrix in memory.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.chars().count()).collect();
    for (left_idx, left_char) in left.chars().enumerate() {
        // `row` holds the distances of the letter before. `diagonal` is the cell above and to the
        // left, which the next step would overwrite.
        let mut diagonal = left_idx;
        let mut before = left_idx + 1;
        let mut cells = row.iter_mut();
        if let Some(first) = cells.next() {
            *first = before;
        }
        for (cell, right_char) in cells.zip(right.chars()) {
            let substituted = diagonal + usize::from(left_char != right_char);
            diagonal = *cell;
            before = substituted.min(before + 1).min(diagonal + 1);
            *cell = before;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn distances() {
        for (left, right, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("modle", "model", 2),
            ("größe", "grosse", 3),
        ] {
            assert_eq!(distance(left, right), expected, "{left} {right}");
            assert_eq!(distance(right, left), expected, "{right} {left}");
        }
    }

    #[test]
    fn only_a_near_name_is_suggested() {
        let known = ["model", "base_url", "log_level", "limits"];
        for (name, expected) in [
            ("modle", Some("model")),
            ("baseurl", Some("base_url")),
            ("base-url", Some("base_url")),
            ("loglevel", Some("log_level")),
            ("limit", Some("limits")),
            ("temperature", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, known), expected, "{name}");
        }
    }
}
