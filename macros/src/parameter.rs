//! Checks one parameter of the function and takes it apart.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Error, Expr, LitStr, Pat, PatType, PathArguments, PathSegment, Type};

/// A parameter that the model fills in.
pub(crate) struct Parameter {
    /// The field of the argument struct.
    pub(crate) field: Ident,
    /// The name that the model sees, if it is not that of the field.
    pub(crate) name: Option<LitStr>,
    pub(crate) ty: Type,
    pub(crate) default: Option<Expr>,
    /// Docs and attributes for serde and schemars, which move to the field.
    pub(crate) attributes: Vec<Attribute>,
}

impl Parameter {
    /// Takes a parameter apart, and removes the attributes that a function cannot have.
    pub(crate) fn parse(argument: &mut PatType) -> syn::Result<Self> {
        let label = label(&argument.pat);
        let mut name = None;
        let mut default = None;
        let mut attributes = Vec::new();
        for attribute in std::mem::take(&mut argument.attrs) {
            let path = attribute.path();
            if path.is_ident("default") {
                set(&mut default, attribute.parse_args()?, &attribute)?;
            } else if path.is_ident("tool") {
                attribute.parse_nested_meta(|meta| {
                    if meta.path.is_ident("default") {
                        set(&mut default, meta.value()?.parse()?, &attribute)
                    } else if meta.path.is_ident("name") {
                        set(&mut name, meta.value()?.parse()?, &attribute)
                    } else {
                        let message = "unknown option of a parameter, there are `name`, `default`";
                        Err(meta.error(message))
                    }
                })?;
            } else if ["doc", "serde", "schemars"]
                .iter()
                .any(|known| path.is_ident(known))
            {
                attributes.push(attribute);
            } else if path.is_ident("cfg") || path.is_ident("cfg_attr") {
                let message = format!(
                    "{label}: `cfg` is not possible here, write two functions with a `cfg` each"
                );
                return Err(Error::new_spanned(attribute, message));
            } else {
                // Not for the tool. It stays on the parameter, where the compiler judges it.
                argument.attrs.push(attribute);
            }
        }
        check_type(&label, &argument.ty)?;
        Ok(Self {
            field: field_of(&argument.pat, name.as_ref())?,
            name,
            ty: (*argument.ty).clone(),
            default,
            attributes,
        })
    }
}

/// Says whether a type is `&ToolContext` or `&mut ToolContext`, by any path.
pub(crate) fn is_context(ty: &Type) -> bool {
    matches!(ty, Type::Reference(reference) if names_context(&reference.elem))
}

/// Checks the parameter that takes the context.
pub(crate) fn check_context(argument: &PatType) -> syn::Result<()> {
    let label = label(&argument.pat);
    if let Some(attribute) = argument
        .attrs
        .iter()
        .find(|attribute| !attribute.path().is_ident("doc"))
    {
        let message = format!("{label} is the context, which takes no attributes");
        return Err(Error::new_spanned(attribute, message));
    }
    match &*argument.ty {
        Type::Reference(reference) if reference.mutability.is_some() => {
            let message = format!("{label} is the context, which is shared: take `&ToolContext`");
            Err(Error::new_spanned(reference, message))
        }
        _ => Ok(()),
    }
}

/// Says whether a type is `State<T>`, by any path: application state, which the model does not see.
pub(crate) fn is_state(ty: &Type) -> bool {
    last_segment(ty).is_some_and(|segment| {
        segment.ident == "State"
            && matches!(&segment.arguments, PathArguments::AngleBracketed(of) if of.args.len() == 1)
    })
}

/// Checks a parameter that takes application state.
pub(crate) fn check_state(argument: &PatType) -> syn::Result<()> {
    let label = label(&argument.pat);
    match argument
        .attrs
        .iter()
        .find(|attribute| !attribute.path().is_ident("doc"))
    {
        Some(attribute) => {
            let message = format!("{label} is application state, which takes no attributes");
            Err(Error::new_spanned(attribute, message))
        }
        None => Ok(()),
    }
}

fn names_context(ty: &Type) -> bool {
    last_segment(ty).is_some_and(|segment| segment.ident == "ToolContext")
}

fn names_run_context(ty: &Type) -> bool {
    let ty = match ty {
        Type::Reference(reference) => &reference.elem,
        other => other,
    };
    last_segment(ty).is_some_and(|segment| segment.ident == "RunContext")
}

fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match ty {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
}

fn check_type(label: &str, ty: &Type) -> syn::Result<()> {
    // The most specific case first: each message says what to write instead.
    let message = if is_context(ty) {
        format!("{label}: `&ToolContext` must be the first parameter")
    } else if names_context(ty) {
        format!("{label}: take `&ToolContext`, as the first parameter")
    } else if names_run_context(ty) {
        format!(
            "{label}: a tool is given its call: take `&ToolContext`, as the first parameter, whose `run()` is the run"
        )
    } else if matches!(ty, Type::Reference(reference) if is_state(&reference.elem)) {
        format!("{label}: take `State<..>` itself, which is shared and cheap to clone")
    } else if let Type::Reference(reference) = ty {
        let owned = owned_form(&reference.elem);
        format!("{label} is a reference, but arguments are owned: take `{owned}`")
    } else if mentions(
        ty.to_token_stream(),
        &|tree| matches!(tree, TokenTree::Punct(p) if p.as_char() == '&'),
    ) {
        format!("{label} contains a reference, but arguments are owned: use owned types")
    } else if is_impl(ty) {
        format!("{label} is an `impl Trait`, but a model needs one schema: name the type")
    } else if matches!(ty, Type::Infer(_)) {
        format!("{label} has no type, but a model needs a schema: name the type")
    } else {
        return Ok(());
    };
    Err(Error::new_spanned(ty, message))
}

/// Says whether a type contains an `impl Trait`.
pub(crate) fn is_impl(ty: &Type) -> bool {
    let is_word = |tree: &TokenTree| matches!(tree, TokenTree::Ident(word) if word == "impl");
    mentions(ty.to_token_stream(), &is_word)
}

fn owned_form(referent: &Type) -> String {
    match referent {
        Type::Slice(slice) => format!("Vec<{}>", slice.elem.to_token_stream()),
        Type::Path(path) if path.path.is_ident("str") => "String".to_owned(),
        other => other.to_token_stream().to_string(),
    }
}

fn mentions(tokens: TokenStream, wanted: &dyn Fn(&TokenTree) -> bool) -> bool {
    tokens.into_iter().any(|tree| {
        wanted(&tree) || matches!(tree, TokenTree::Group(group) if mentions(group.stream(), wanted))
    })
}

fn field_of(pattern: &Pat, name: Option<&LitStr>) -> syn::Result<Ident> {
    if let Pat::Ident(binding) = pattern {
        return Ok(binding.ident.clone());
    }
    let Some(name) = name else {
        let message = format!(
            "{} has no name that a model could use: add `#[tool(name = \"...\")]` before it",
            label(pattern)
        );
        return Err(Error::new_spanned(pattern, message));
    };
    name.parse()
        .map_err(|_| Error::new(name.span(), "the name of a pattern must be an identifier"))
}

fn label(pattern: &Pat) -> String {
    match pattern {
        Pat::Ident(binding) => format!("parameter `{}`", binding.ident.unraw()),
        other => format!("parameter `{}`", other.to_token_stream()),
    }
}

fn set<T>(option: &mut Option<T>, value: T, attribute: &Attribute) -> syn::Result<()> {
    if option.replace(value).is_some() {
        return Err(Error::new(attribute.span(), "this was given already"));
    }
    Ok(())
}
