//! `#[tool]`: a plain function becomes a tool.
//!
//! Use it through `openai_agents::tool`, where it is documented; the code that it writes refers to that crate.

mod options;
mod function;
mod parameter;
mod expand;
#[cfg(test)]
mod tests;

use proc_macro::TokenStream;
use syn::parse_macro_input;

use crate::function::ToolFunction;
use crate::options::Options;

// The documentation is at the re-export, where its examples can compile.
#[expect(missing_docs, reason = "documented at the re-export")]
#[proc_macro_attribute]
pub fn tool(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as syn::ItemFn);
    Options::parse(attribute.into())
        .and_then(|options| ToolFunction::parse(options, item))
        .map_or_else(syn::Error::into_compile_error, |tool| expand::expand(&tool))
        .into()
}
