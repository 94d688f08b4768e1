//! What is wrong with arguments, in words that a model understands.
//!
//! serde says `invalid type: string "42", expected u8`; a model reads `expected an integer from 0 to 255, found the string "42"`, which
//! is its own language and not Rust's.

/// Rewrites an error of serde; what has another form is passed on as it is.
pub(super) fn words(error: &str) -> String {
    let error = without_position(error);
    let is_of_kind = |kind: &str| error.strip_prefix(kind);
    let kinds = ["invalid type: ", "invalid value: "];
    let Some(rest) = kinds.into_iter().find_map(is_of_kind) else {
        return error.to_owned();
    };
    // A string that was found may hold the words, too: what was expected stands behind the last ones.
    match rest.rsplit_once(", expected ") {
        Some((found, expected)) => {
            format!("expected {}, found {}", wanted(expected), given(found))
        }
        None => error.to_owned(),
    }
}

/// Leaves out where in the text it was, since the path of the field says where.
fn without_position(error: &str) -> &str {
    match error.rsplit_once(" at line ") {
        Some((words, position)) if position.contains(" column ") => words,
        _ => error,
    }
}

fn wanted(expected: &str) -> &str {
    match expected {
        "i8" => "an integer from -128 to 127",
        "i16" => "an integer from -32768 to 32767",
        "i32" => "an integer from -2147483648 to 2147483647",
        "i64" | "i128" | "isize" => "an integer",
        "u8" => "an integer from 0 to 255",
        "u16" => "an integer from 0 to 65535",
        "u32" => "an integer from 0 to 4294967295",
        "u64" | "u128" | "usize" => "an integer of at least 0",
        "f32" | "f64" => "a number",
        "a sequence" => "a list",
        "a map" => "an object",
        "unit" => "null",
        _ if expected.starts_with("struct ") => "an object",
        other => other,
    }
}

fn given(found: &str) -> String {
    let number = ["integer `", "floating point `"];
    let number = number.iter().find_map(|kind| found.strip_prefix(kind));
    if let Some(number) = number.and_then(|rest| rest.strip_suffix('`')) {
        return format!("the number {number}");
    }
    let boolean = found.strip_prefix("boolean `");
    if let Some(boolean) = boolean.and_then(|rest| rest.strip_suffix('`')) {
        return boolean.to_owned();
    }
    match found {
        "sequence" => "a list".to_owned(),
        "map" => "an object".to_owned(),
        _ if found.starts_with("string ") => format!("the {found}"),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde::de::DeserializeOwned;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct PlainPoint {
        #[expect(dead_code, reason = "only read by serde")]
        x: i64,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Unit {
        Meters,
        Feet,
    }

    fn check<T: DeserializeOwned + std::fmt::Debug>(json: &str, expect: &str) {
        let error = serde_json::from_str::<T>(json).unwrap_err();
        assert_eq!(words(&error.to_string()), expect);
        let value: serde_json::Value = serde_json::from_str(json).unwrap();
        let error = serde_json::from_value::<T>(value).unwrap_err();
        assert_eq!(words(&error.to_string()), expect);
    }

    #[test]
    fn error_of_serde_is_told_in_plain_words() {
        check::<i64>(r#""42""#, "expected an integer, found the string \"42\"");
        check::<i64>("42.0", "expected an integer, found the number 42.0");
        check::<u8>(
            "300",
            "expected an integer from 0 to 255, found the number 300",
        );
        check::<f64>("true", "expected a number, found true");
        check::<String>("null", "expected a string, found null");
        check::<bool>(r#""true""#, "expected a boolean, found the string \"true\"");
        check::<Vec<u8>>("{}", "expected a list, found an object");
        check::<PlainPoint>(
            r#""a, expected b""#,
            "expected an object, found the string \"a, expected b\"",
        );
        check::<PlainPoint>("{}", "missing field `x`");
        check::<Unit>(
            r#""miles""#,
            "unknown variant `miles`, expected `meters` or `feet`",
        );
        let _ = (Unit::Meters, Unit::Feet);
    }
}
