//! The code that `#[tool]` writes.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, FnArg, Lit, ReturnType, Visibility};

use crate::function::{Argument, ToolFunction};
use crate::parameter::{Parameter, is_impl};

/// Writes a unit struct under the function's name, and its `Tool`.
///
/// Everything else is inside an anonymous constant. There the function keeps its name, in place of the struct's constructor, so that
/// its body can call itself.
pub(crate) fn expand(tool: &ToolFunction) -> TokenStream {
    let ToolFunction {
        name,
        description,
        library,
        outer_attributes,
        item,
        ..
    } = tool;
    let vis = &item.vis;
    let ident = &item.sig.ident;
    let cfgs = outer_attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("cfg"));
    let function = inner_function(tool);
    let arguments = arguments(tool);
    let call = call(tool);
    let options = tool.options.expression(library).map(|options| {
        quote! {
            fn options(&self) -> #library::tools::ToolOptions {
                #options
            }
        }
    });
    let approval = tool.options.approval(library);
    let required = required_state(tool);
    let direct = direct_call(tool);
    quote! {
        #(#outer_attributes)*
        #[doc = #description]
        #[allow(non_camel_case_types)]
        #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
        #vis struct #ident;

        #(#cfgs)*
        #[allow(deprecated)]
        const _: () = {
            #function
            #arguments

            #[automatically_derived]
            impl #library::Tool for #ident {
                type Args = __ToolArgs;
                type Output = #library::ToolOutput;
                type Error = ::std::boxed::Box<
                    dyn ::std::error::Error + ::core::marker::Send + ::core::marker::Sync,
                >;

                fn name(&self) -> &str {
                    #name
                }

                fn description(&self) -> &str {
                    #description
                }

                #options

                #approval

                #required

                #call
            }

            #direct
        };
    }
}

/// The function as it was written, visible to nobody else.
fn inner_function(tool: &ToolFunction) -> TokenStream {
    let mut function = tool.item.clone();
    function.vis = Visibility::Inherited;
    // Whether arguments are owned and whether a call may block is settled by being a tool.
    quote! {
        #[allow(clippy::needless_pass_by_value, clippy::unused_async)]
        #function
    }
}

/// The struct that the arguments are read into, and what its fields need.
fn arguments(tool: &ToolFunction) -> TokenStream {
    let library = &tool.library;
    let checks = tool.parameters().map(|parameter| {
        let ty = &parameter.ty;
        // With the span of the type, so that the compiler's message points at the parameter.
        quote_spanned!(ty.span()=> #library::__private::assert_parameter::<#ty>();)
    });
    let defaults = tool.parameters().filter_map(default_function);
    let fields = tool.parameters().map(field);
    let serde = path_text(&quote!(#library::__private::serde));
    let schemars = path_text(&quote!(#library::__private::schemars));
    quote! {
        const _: fn() = || {
            #(#checks)*
        };

        #(#defaults)*

        #[derive(#library::__private::serde::Deserialize, #library::__private::schemars::JsonSchema)]
        #[serde(crate = #serde)]
        #[schemars(crate = #schemars)]
        #[doc(hidden)]
        pub struct __ToolArgs {
            #(#fields)*
        }
    }
}

fn field(parameter: &Parameter) -> TokenStream {
    let Parameter {
        field,
        name,
        ty,
        attributes,
        ..
    } = parameter;
    let rename = name.as_ref().map(|name| quote!(#[serde(rename = #name)]));
    let default = parameter.default.as_ref().map(|_| {
        let path = default_ident(field).to_string();
        quote!(#[serde(default = #path)])
    });
    quote! {
        #(#attributes)*
        #rename
        #default
        #field: #ty,
    }
}

fn default_function(parameter: &Parameter) -> Option<TokenStream> {
    let default = parameter.default.as_ref()?;
    let name = default_ident(&parameter.field);
    let ty = &parameter.ty;
    let is_text = matches!(
        default,
        Expr::Lit(ExprLit {
            lit: Lit::Str(_),
            ..
        })
    );
    // A literal is a `&str`, and the parameter nearly always a `String`.
    let value = if is_text {
        quote_spanned!(default.span()=> ::core::convert::Into::<#ty>::into(#default))
    } else {
        default.into_token_stream()
    };
    Some(quote! {
        fn #name() -> #ty {
            #value
        }
    })
}

fn default_ident(field: &Ident) -> Ident {
    format_ident!("__default_{}", field)
}

/// `Tool::call`, which hands the arguments to the function, on a thread of its own if that blocks.
fn call(tool: &ToolFunction) -> TokenStream {
    let library = &tool.library;
    let is_async = tool.item.sig.asyncness.is_some();
    let context = tool.takes_context.then(|| {
        if is_async {
            quote!(__cx,)
        } else {
            quote!(&__cx,)
        }
    });
    let ident = &tool.item.sig.ident;
    let arguments = tool.arguments.iter().enumerate();
    let arguments = arguments.map(|(n, argument)| match argument {
        Argument::Model(parameter) => {
            let field = &parameter.field;
            quote!(__args.#field)
        }
        Argument::State(_) => state_ident(n).into_token_stream(),
    });
    let states = tool.arguments.iter().enumerate();
    let states = states.filter_map(|(n, argument)| match argument {
        Argument::Model(_) => None,
        Argument::State(ty) => {
            let state = state_ident(n);
            Some(quote_spanned!(ty.span()=> let #state: #ty = __cx.shared_state()?;))
        }
    });
    let span = output_span(tool);
    let returned = quote_spanned!(span=> #ident(#context #(#arguments),*));
    let body = if is_async {
        convert(tool, &quote_spanned!(span=> #returned.await))
    } else {
        let output = convert(tool, &returned);
        let clone = tool
            .takes_context
            .then(|| quote!(let __cx = ::core::clone::Clone::clone(__cx);));
        quote! {
            #clone
            #library::tools::blocking(move || #output).await
        }
    };
    quote! {
        async fn call(
            &self,
            __cx: &#library::ToolContext,
            __args: __ToolArgs,
        ) -> ::core::result::Result<Self::Output, Self::Error> {
            #[allow(unused_imports)]
            use #library::__private::{Returned as __Returned, ReturnedPlain as _};
            #(#states)*
            #body
        }
    }
}

fn state_ident(n: usize) -> Ident {
    format_ident!("__state_{}", n)
}

/// `Tool::required_state`, unless there is none.
fn required_state(tool: &ToolFunction) -> Option<TokenStream> {
    let library = &tool.library;
    tool.states().next()?;
    let states = tool.states();
    Some(quote! {
        fn required_state(&self) -> ::std::vec::Vec<#library::context::StateType> {
            ::std::vec![#(<#states>::state_type()),*]
        }
    })
}

/// Lets the function be called by its name, as it was written, since a value that dereferences to a function can be called.
///
/// A function that returns an `impl Trait` has no type that could be written down, and cannot.
fn direct_call(tool: &ToolFunction) -> Option<TokenStream> {
    let library = &tool.library;
    let signature = &tool.item.sig;
    let ident = &signature.ident;
    let returned = match &signature.output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, ty) if is_impl(ty) => return None,
        ReturnType::Type(_, ty) => ty.to_token_stream(),
    };
    let types: Vec<_> = signature
        .inputs
        .iter()
        .filter_map(|argument| match argument {
            FnArg::Typed(argument) => Some(&argument.ty),
            FnArg::Receiver(_) => None,
        })
        .collect();
    let names: Vec<_> = (0..types.len())
        .map(|n| format_ident!("__argument_{}", n))
        .collect();
    let call = quote!(#ident(#(#names),*));
    let (returned, call) = match (&signature.asyncness, tool.takes_context) {
        (None, _) => (returned, call),
        // The future holds the context.
        (Some(_), true) => (
            quote!(#library::future::BoxFuture<'_, #returned>),
            quote!(::std::boxed::Box::pin(#call)),
        ),
        (Some(_), false) => (
            quote!(#library::future::BoxFuture<'static, #returned>),
            quote!(::std::boxed::Box::pin(#call)),
        ),
    };
    Some(quote! {
        #[automatically_derived]
        impl ::core::ops::Deref for #ident {
            type Target = fn(#(#types),*) -> #returned;

            fn deref(&self) -> &Self::Target {
                fn __direct(#(#names: #types),*) -> #returned {
                    #call
                }
                const __DIRECT: fn(#(#types),*) -> #returned = __direct;
                &__DIRECT
            }
        }
    })
}

/// Turns what the function returned into the output or error of the call.
fn convert(tool: &ToolFunction, returned: &TokenStream) -> TokenStream {
    let span = output_span(tool);
    quote_spanned!(span=> __Returned(#returned).into_output())
}

/// Where the compiler's message points when a type cannot be an output.
fn output_span(tool: &ToolFunction) -> Span {
    match &tool.item.sig.output {
        ReturnType::Type(_, ty) => ty.span(),
        ReturnType::Default => tool.item.sig.ident.span(),
    }
}

fn path_text(path: &TokenStream) -> String {
    path.to_string().replace(' ', "")
}
