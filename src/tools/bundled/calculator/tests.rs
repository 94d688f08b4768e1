use proptest::prelude::*;

use super::*;

fn check(expression: &str, expected: &str) {
    let answer = match calculate(expression) {
        Ok(value) => format_number(value),
        Err(error) => error.to_string(),
    };
    assert_eq!(answer, expected, "{expression}");
}

#[test]
fn values() {
    for (expression, expected) in [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("10 - 4 - 3", "3"),
        ("24 / 4 / 3", "2"),
        ("7 % 3", "1"),
        ("-7 % 3", "2"),
        ("7 % -3", "-2"),
        ("2 ^ 3 ^ 2", "512"),
        ("-2 ^ 2", "-4"),
        ("2 ^ -1", "0.5"),
        ("2 ^ 0.5", "1.4142135623731"),
        ("--3", "3"),
        ("2 - -3", "5"),
        ("+4", "4"),
        (".5 + 1.", "1.5"),
        ("1e3 + 1E-3 + 2e+1", "1020.001"),
        ("0.1 + 0.2", "0.3"),
        ("1 / 3", "0.333333333333333"),
        ("2 ^ 53", "9007199254740992"),
        ("2 ^ 53 - 1", "9007199254740991"),
        ("-(2 ^ 53)", "-9007199254740992"),
        ("2 ^ 70", "1.18059162071741e21"),
        ("1e-9", "1e-9"),
        ("0 * -1", "0"),
        ("sqrt(16)", "4"),
        ("abs(-2.5)", "2.5"),
        ("round(2.5) + round(-2.5)", "0"),
        ("floor(-1.5)", "-2"),
        ("ceil(1.2)", "2"),
        ("min(3, 1, 2)", "1"),
        ("max(3)", "3"),
        ("ln(e)", "1"),
        ("log10(1000)", "3"),
        ("sin(0) + cos(0) + tan(0)", "1"),
        ("2 * pi", "6.28318530717959"),
        (" 1\n+\t1 ", "2"),
    ] {
        check(expression, expected);
    }
}

#[test]
fn errors() {
    for (expression, expected) in [
        ("", "the expression ends too early"),
        ("1 +", "the expression ends too early"),
        ("(1", "the expression ends too early"),
        ("sqrt", "the expression ends too early"),
        ("1 / 0", "division by zero at position 3"),
        ("5 % (2 - 2)", "division by zero at position 3"),
        ("1 $ 2", "unexpected `$` at position 3"),
        ("é + 1", "unexpected `é` at position 1"),
        ("1 + €", "unexpected `€` at position 5"),
        ("1)", "unexpected `)` at position 2"),
        ("1 2", "unexpected `2` at position 3"),
        ("2 ** 3", "unexpected `*` at position 4"),
        ("2 (3)", "unexpected `(` at position 3"),
        ("1.2.3", "`1.2.3` at position 1 is not a number"),
        ("2pi", "`2pi` at position 1 is not a number"),
        ("1e", "`1e` at position 1 is not a number"),
        ("0x10", "`0x10` at position 1 is not a number"),
        ("inf", "unknown name `inf` at position 1"),
        ("1 + exec(1)", "unknown name `exec` at position 5"),
        ("sqrt()", "`sqrt` at position 1 does not take 0 arguments"),
        ("abs(1, 2)", "`abs` at position 1 does not take 2 arguments"),
        ("min()", "`min` at position 1 does not take 0 arguments"),
        ("min(1,)", "unexpected `)` at position 7"),
        ("sqrt(-1)", "`sqrt` at position 1 has no finite result"),
        ("ln(0)", "`ln` at position 1 has no finite result"),
        ("10 ^ 400", "`^` at position 4 has no finite result"),
        ("1e308 * 10", "`*` at position 7 has no finite result"),
        ("1e999", "`1e999` at position 1 has no finite result"),
        ("(-8) ^ 0.5", "`^` at position 6 has no finite result"),
    ] {
        check(expression, expected);
    }
}

#[test]
fn limits() {
    let deep = |n: usize| format!("{}1{}", "(".repeat(n), ")".repeat(n));
    check(&deep(MAX_DEPTH), "1");
    let too_deep = "the expression is nested more than 100 levels deep at position 102";
    check(&deep(MAX_DEPTH + 1), too_deep);
    check(&format!("{}1", "-".repeat(101)), too_deep);
    assert!(calculate(&vec!["1"; 500].join("+")).is_ok());
    check(
        &"1".repeat(1_001),
        "the expression is longer than 1000 characters",
    );
}

proptest! {
    #[test]
    fn never_panics(expression in any::<String>()) {
        let answer = calculate(&expression);
        prop_assert!(answer.is_err() || answer.is_ok_and(f64::is_finite));
    }

    #[test]
    fn never_panics_on_what_looks_right(expression in "[0-9e.+*/%^(), -]{0,60}|(sqrt|min|pi|[0-9(),^-]){0,30}") {
        let answer = calculate(&expression);
        prop_assert!(answer.is_err() || answer.is_ok_and(f64::is_finite));
    }

    #[test]
    fn integers_come_back(number in -9_007_199_254_740_992_i64..=9_007_199_254_740_992) {
        let text = number.to_string();
        prop_assert_eq!(calculate(&text).map(format_number), Ok(text));
    }
}
