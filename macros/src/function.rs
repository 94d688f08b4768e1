//! Checks the function under `#[tool]` and takes it apart.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{
    Attribute, Error, Expr, ExprLit, FnArg, ItemFn, Lit, LitStr, Meta, Path, Signature, Type,
};

use crate::options::{Options, check_name};
use crate::parameter::{self, Parameter};

/// A function that can be a tool.
pub(crate) struct ToolFunction {
    pub(crate) name: LitStr,
    pub(crate) description: LitStr,
    pub(crate) options: Options,
    /// The path of the library.
    pub(crate) library: Path,
    /// Whether the first parameter is the `&ToolContext`.
    pub(crate) takes_context: bool,
    /// The parameters after the context, in order.
    pub(crate) arguments: Vec<Argument>,
    /// Attributes of the whole tool, such as `cfg` and `deprecated`.
    pub(crate) outer_attributes: Vec<Attribute>,
    /// The function without attributes for the macro.
    pub(crate) item: ItemFn,
}

/// An argument that the function is called with.
#[expect(
    clippy::large_enum_variant,
    reason = "a handful of values, while a function is compiled"
)]
pub(crate) enum Argument {
    /// A parameter that the model fills in.
    Model(Parameter),
    /// Application state of this type, `State<T>`.
    State(Type),
}

impl ToolFunction {
    /// Returns the parameters that the model fills in.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &Parameter> {
        self.arguments.iter().filter_map(|argument| match argument {
            Argument::Model(parameter) => Some(parameter),
            Argument::State(_) => None,
        })
    }

    /// Returns the types of the application state.
    pub(crate) fn states(&self) -> impl Iterator<Item = &Type> {
        self.arguments.iter().filter_map(|argument| match argument {
            Argument::Model(_) => None,
            Argument::State(ty) => Some(ty),
        })
    }

    /// Checks a function, and reports all problems at once.
    pub(crate) fn parse(options: Options, mut item: ItemFn) -> syn::Result<Self> {
        let mut problems = Problems::default();
        problems.note(check_signature(&item.sig));

        let attributes = std::mem::take(&mut item.attrs);
        let (docs, others): (Vec<_>, Vec<_>) = attributes
            .into_iter()
            .partition(|attribute| attribute.path().is_ident("doc"));
        let (outer_attributes, inner_attributes) = others.into_iter().partition(is_outer);
        item.attrs = inner_attributes;
        let name = problems.note(name_of(&item.sig, &options));
        let description = problems.note(description_of(&item.sig, &options, &docs));

        let mut arguments = Vec::new();
        let mut takes_context = false;
        for (argument_idx, argument) in item.sig.inputs.iter_mut().enumerate() {
            // `self` is not a parameter for the model; `check_signature` has refused it.
            let FnArg::Typed(argument) = argument else {
                continue;
            };
            if argument_idx == 0 && parameter::is_context(&argument.ty) {
                takes_context = true;
                problems.note(parameter::check_context(argument));
            } else if parameter::is_state(&argument.ty) {
                problems.note(parameter::check_state(argument));
                argument.attrs.clear();
                arguments.push(Argument::State((*argument.ty).clone()));
            } else if let Some(parameter) = problems.note(Parameter::parse(argument)) {
                arguments.push(Argument::Model(parameter));
            }
        }
        problems.finish()?;
        let (Some(name), Some(description)) = (name, description) else {
            // Not reached: what is missing here was noted as a problem above.
            return Err(Error::new(item.sig.span(), "not a tool"));
        };
        Ok(Self {
            name,
            description,
            library: library_path(&options),
            options,
            takes_context,
            arguments,
            outer_attributes,
            item,
        })
    }
}

/// Collects errors, so that one compilation shows them all.
#[derive(Default)]
struct Problems(Option<Error>);

impl Problems {
    fn note<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        match result {
            Ok(value) => return Some(value),
            Err(error) => match &mut self.0 {
                Some(errors) => errors.combine(error),
                None => self.0 = Some(error),
            },
        }
        None
    }

    fn finish(self) -> syn::Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}

fn check_signature(signature: &Signature) -> syn::Result<()> {
    let name = signature.ident.unraw();
    if let Some(receiver) = signature.receiver() {
        let message = format!(
            "`{name}` takes `self`, a tool is a plain function; for a tool with fields of its own, implement `Tool` for the type"
        );
        return Err(Error::new_spanned(receiver, message));
    }
    if !signature.generics.params.is_empty() {
        let parameters = &signature.generics.params;
        let listed = quote::quote!(#parameters).to_string();
        let message = format!(
            "tool `{name}` is generic over `{listed}`, but a model needs one schema: name the types"
        );
        return Err(Error::new_spanned(parameters, message));
    }
    if let syn::Safety::Unsafe(token) = &signature.safety {
        let message = format!("tool `{name}` is `unsafe`: a model cannot keep its conditions");
        return Err(Error::new_spanned(token, message));
    }
    if let Some(variadic) = &signature.variadic {
        let message =
            format!("tool `{name}` takes any number of arguments: take one `Vec` instead");
        return Err(Error::new_spanned(variadic, message));
    }
    if let Some(abi) = &signature.abi {
        let message = format!("tool `{name}` has a foreign ABI: remove `extern`");
        return Err(Error::new_spanned(abi, message));
    }
    Ok(())
}

fn name_of(signature: &Signature, options: &Options) -> syn::Result<LitStr> {
    if let Some(name) = &options.name {
        return Ok(name.clone());
    }
    let name = signature.ident.unraw().to_string();
    check_name(&name).map_err(|message| {
        let message = format!("{message}; set `#[tool(name = \"...\")]`");
        Error::new(signature.ident.span(), message)
    })?;
    Ok(LitStr::new(&name, signature.ident.span()))
}

fn description_of(
    signature: &Signature,
    options: &Options,
    docs: &[Attribute],
) -> syn::Result<LitStr> {
    if let Some(description) = &options.description {
        return Ok(description.clone());
    }
    let lines: Vec<String> = docs.iter().filter_map(doc_text).collect();
    let description = lines.join("\n").trim().to_owned();
    if description.is_empty() {
        let message = format!(
            "tool `{}` has no description: tell the model what it does in a doc comment, or in `#[tool(description = \"...\")]`",
            signature.ident.unraw()
        );
        return Err(Error::new(signature.ident.span(), message));
    }
    Ok(LitStr::new(&description, signature.ident.span()))
}

/// Reads `#[doc = "..."]` without the space after `///`.
fn doc_text(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(meta) = &attribute.meta else {
        return None;
    };
    let Expr::Lit(ExprLit {
        lit: Lit::Str(text),
        ..
    }) = &meta.value
    else {
        return None;
    };
    let text = text.value();
    let lines = text
        .lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(line));
    Some(lines.collect::<Vec<_>>().join("\n"))
}

fn is_outer(attribute: &Attribute) -> bool {
    ["cfg", "deprecated"]
        .iter()
        .any(|name| attribute.path().is_ident(name))
}

fn library_path(options: &Options) -> Path {
    options.library.clone().unwrap_or_else(|| {
        let name = syn::Ident::new("openai_agents", Span::call_site());
        syn::parse_quote!(::#name)
    })
}
