//! The options in `#[tool(...)]` on a function.

use std::collections::HashSet;

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::meta::ParseNestedMeta;
use syn::parse::Parser;
use syn::spanned::Spanned;
use syn::{Lit, LitBool, LitInt, LitStr, Path, Token};

/// The options in `#[tool(...)]`.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) name: Option<LitStr>,
    pub(crate) description: Option<LitStr>,
    /// The path of the library, if it is not `::openai_agents`.
    pub(crate) library: Option<Path>,
    pub(crate) approval: Option<Approval>,
    /// Setters of `ToolOptions`, in the order in which they were written.
    setters: Vec<Setter>,
}

/// Which calls wait for approval.
pub(crate) enum Approval {
    Always,
    /// Calls for which this function returns true.
    If(Path),
}

enum Setter {
    Strict(LitBool),
    Timeout(Lit),
    MaxOutputBytes(LitInt),
    /// The setter and the variant of `ToolFailure`.
    Failure(Ident, Ident),
}

const NAMES: [&str; 9] = [
    "name",
    "description",
    "strict",
    "timeout_secs",
    "failure",
    "timeout_failure",
    "max_output_bytes",
    "needs_approval",
    "crate",
];

impl Options {
    /// Parses the text between the parentheses.
    pub(crate) fn parse(attribute: TokenStream) -> syn::Result<Self> {
        let mut options = Self::default();
        let mut seen = HashSet::new();
        let parser = syn::meta::parser(|meta| {
            if !seen.insert(meta.path.to_token_stream().to_string()) {
                return Err(meta.error("this option was given already"));
            }
            options.parse_option(&meta)
        });
        parser.parse2(attribute)?;
        Ok(options)
    }

    /// Returns the expression for the `ToolOptions`; `None` for the defaults.
    pub(crate) fn expression(&self, library: &Path) -> Option<TokenStream> {
        if self.setters.is_empty() {
            return None;
        }
        let setters = self.setters.iter().map(|setter| setter.call(library));
        Some(quote! {
            <#library::tools::ToolOptions as ::core::default::Default>::default() #(#setters)*
        })
    }

    /// Returns the method that says which calls wait for approval; `None` if no call does.
    pub(crate) fn approval(&self, library: &Path) -> Option<TokenStream> {
        let is_needed = match self.approval.as_ref()? {
            Approval::Always => quote!({
                let _ = (__cx, __call);
                true
            }),
            // Bound to its type first, so that the compiler names the signature that is expected.
            Approval::If(function) => quote_spanned! {function.span()=> {
                let __waits: fn(&#library::RunContext, &#library::item::FunctionCall) -> bool = #function;
                __waits(__cx, __call)
            }},
        };
        Some(quote! {
            fn needs_approval(
                &self,
                __cx: &#library::RunContext,
                __call: &#library::item::FunctionCall,
            ) -> bool {
                #is_needed
            }
        })
    }

    fn parse_option(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        if meta.path.is_ident("name") {
            self.name = Some(parse_name(meta)?);
        } else if meta.path.is_ident("description") {
            self.description = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("crate") {
            self.library = Some(meta.value()?.call(Path::parse_mod_style)?);
        } else if meta.path.is_ident("strict") {
            self.setters.push(Setter::Strict(meta.value()?.parse()?));
        } else if meta.path.is_ident("timeout_secs") {
            self.setters.push(Setter::Timeout(parse_seconds(meta)?));
        } else if meta.path.is_ident("max_output_bytes") {
            let n_bytes = meta.value()?.parse()?;
            self.setters.push(Setter::MaxOutputBytes(n_bytes));
        } else if meta.path.is_ident("needs_approval") {
            self.approval = Some(parse_approval(meta)?);
        } else if meta.path.is_ident("failure") || meta.path.is_ident("timeout_failure") {
            let setter = meta.path.require_ident()?.clone();
            self.setters
                .push(Setter::Failure(setter, parse_failure(meta)?));
        } else {
            let names = NAMES.join("`, `");
            return Err(meta.error(format!("unknown option of a tool, there are `{names}`")));
        }
        Ok(())
    }
}

impl Setter {
    fn call(&self, library: &Path) -> TokenStream {
        match self {
            Self::Strict(strict) => quote!(.strict(#strict)),
            Self::Timeout(Lit::Int(secs)) => {
                quote!(.timeout(::core::time::Duration::from_secs(#secs)))
            }
            Self::Timeout(secs) => {
                quote!(.timeout(::core::time::Duration::from_secs_f64(#secs)))
            }
            Self::MaxOutputBytes(n_bytes) => quote!(.max_output_bytes(#n_bytes)),
            Self::Failure(setter, variant) => {
                quote!(.#setter(#library::tools::ToolFailure::#variant))
            }
        }
    }
}

fn parse_name(meta: &ParseNestedMeta<'_>) -> syn::Result<LitStr> {
    let name: LitStr = meta.value()?.parse()?;
    check_name(&name.value()).map_err(|message| syn::Error::new(name.span(), message))?;
    Ok(name)
}

/// Checks a name by the rules of `ToolName`, so that a wrong one is a compiler error.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if (1..=64).contains(&name.len()) && name.chars().all(is_allowed) {
        return Ok(());
    }
    Err(format!(
        "`{name}` cannot name a tool: 1 to 64 characters out of A-Z, a-z, 0-9, _ and - are allowed"
    ))
}

fn parse_seconds(meta: &ParseNestedMeta<'_>) -> syn::Result<Lit> {
    let secs: Lit = meta.value()?.parse()?;
    let is_positive = match &secs {
        Lit::Int(whole) => whole.base10_parse::<u64>()? > 0,
        Lit::Float(number) => {
            let number = number.base10_parse::<f64>()?;
            std::time::Duration::try_from_secs_f64(number).is_ok_and(|timeout| !timeout.is_zero())
        }
        _ => false,
    };
    if is_positive {
        Ok(secs)
    } else {
        let message = "expected a positive number of seconds, such as `5` or `0.5`";
        Err(syn::Error::new(secs.span(), message))
    }
}

fn parse_approval(meta: &ParseNestedMeta<'_>) -> syn::Result<Approval> {
    if !meta.input.peek(Token![=]) {
        return Ok(Approval::Always);
    }
    let value = meta.value()?;
    let span = value.span();
    value.call(Path::parse_mod_style).map(Approval::If).map_err(|_| {
        let message = "expected the path of a function that says whether a call waits for approval, or `needs_approval` alone for every call";
        syn::Error::new(span, message)
    })
}

fn parse_failure(meta: &ParseNestedMeta<'_>) -> syn::Result<Ident> {
    let choice: Ident = meta.value()?.parse()?;
    let variant = match choice.to_string().as_str() {
        "raise" => "Raise",
        "tell_model" => "TellModel",
        "tell_model_detail" => "TellModelDetail",
        _ => {
            let message = "expected `tell_model`, `tell_model_detail` or `raise`";
            return Err(syn::Error::new(choice.span(), message));
        }
    };
    Ok(Ident::new(variant, choice.span()))
}
