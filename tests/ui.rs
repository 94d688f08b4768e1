//! What the compiler says about a `#[tool]` that cannot be one.
//!
//! The messages are those of rustc 1.95. `TRYBUILD=overwrite` writes them anew.

#[test]
fn diagnostics() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}
