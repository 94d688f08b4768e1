//! What the macro says about functions that cannot be tools, and about what they take.

use proc_macro2::TokenStream;
use quote::quote;

use crate::function::ToolFunction;
use crate::options::Options;

fn parse(function: TokenStream) -> syn::Result<ToolFunction> {
    ToolFunction::parse(Options::default(), syn::parse2(function)?)
}

#[track_caller]
fn check(function: TokenStream, expect: &str) {
    match parse(function) {
        Err(error) => assert_eq!(error.to_string(), expect),
        Ok(_) => panic!("{expect}: there is no error"),
    }
}

#[test]
fn parameter_that_is_no_argument_is_answered_with_what_to_take() {
    let run = "parameter `cx`: a tool is given its call: take `&ToolContext`, as the first parameter, whose `run()` is the run";
    check(
        quote!(
            #[doc = "x"]
            fn t(cx: &RunContext) {}
        ),
        run,
    );
    check(
        quote!(
            #[doc = "x"]
            fn t(n: u8, cx: openai_agents::RunContext) {}
        ),
        run,
    );
    check(
        quote!(
            #[doc = "x"]
            fn t(db: &State<Db>) {}
        ),
        "parameter `db`: take `State<..>` itself, which is shared and cheap to clone",
    );
    check(
        quote!(
            #[doc = "x"]
            fn t(#[default(1)] db: State<Db>) {}
        ),
        "parameter `db` is application state, which takes no attributes",
    );
}

#[test]
fn state_is_told_from_a_type_of_that_name() {
    let tool = parse(quote!(
        #[doc = "x"]
        fn t(db: openai_agents::State<Db>, state: State) {}
    ));
    let Ok(tool) = tool else {
        panic!("both are parameters");
    };
    assert_eq!((tool.states().count(), tool.parameters().count()), (1, 1));
}
