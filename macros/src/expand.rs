//! Writes the code for `#[tool]`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, FnArg, Lit, ReturnType, Visibility};

use crate::function::{Argument, ToolFunction};
use crate::parameter::{Parameter, is_impl};

/// Writes a unit struct with the name of the function, and its `Tool`.
///
/// Everything else is inside an anonymous constant. There the function keeps its name and hides the
/// constructor of the struct, so that its body can call itself.
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
        // `allow` and not `expect`: whether the lint fires depends on the name that the user chose.
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

/// Writes the function as it is, private to the constant.
fn inner_function(tool: &ToolFunction) -> TokenStream {
    let mut function = tool.item.clone();
    function.vis = Visibility::Inherited;
    // A tool must own its arguments and may be `async` without awaiting, so that these lints would blame the user for
    // what the macro asks.
    quote! {
        #[allow(clippy::needless_pass_by_value, clippy::unused_async)]
        #function
    }
}

/// Writes the struct for the arguments, and checks of its field types.
fn arguments(tool: &ToolFunction) -> TokenStream {
    let library = &tool.library;
    let checks = tool.parameters().map(|parameter| {
        let ty = &parameter.ty;
        // The span of the type makes the compiler point at the parameter, and not at `#[tool]`.
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
    // A literal is a `&str`, while the parameter is nearly always a `String`.
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

/// Writes `Tool::call`, which passes the arguments to the function; a blocking function runs on a
/// thread of its own.
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
            // Method lookup on `Returned` tells a `Result` from a plain value. A single trait would
            // need specialization.
            use #library::__private::{Returned as __Returned, ReturnedPlain as _};
            #(#states)*
            #body
        }
    }
}

fn state_ident(n: usize) -> Ident {
    format_ident!("__state_{}", n)
}

/// Writes `Tool::required_state`, if the function takes state.
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

/// Makes the function callable by its name, as it was written: a value that dereferences to a
/// function can be called.
///
/// A function that returns `impl Trait` cannot, because its type cannot be written.
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
        // The future borrows the context.
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

/// Converts the returned value into the output or error of the call.
fn convert(tool: &ToolFunction, returned: &TokenStream) -> TokenStream {
    let span = output_span(tool);
    quote_spanned!(span=> __Returned(#returned).into_output())
}

/// Returns the place that the compiler points at when a type cannot be an output.
fn output_span(tool: &ToolFunction) -> Span {
    match &tool.item.sig.output {
        ReturnType::Type(_, ty) => ty.span(),
        ReturnType::Default => tool.item.sig.ident.span(),
    }
}

fn path_text(path: &TokenStream) -> String {
    path.to_string().replace(' ', "")
}
