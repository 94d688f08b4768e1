//! Turns documented functions into tools for agents, in a shared library or a WebAssembly module.
//!
//! [`export_plugin!`] takes ordinary functions. The comment above a function is the description that the model reads, the comments above
//! its parameters describe these, and their types define the JSON Schema of the arguments. The returned value is the output: text as
//! it is, everything else as JSON. A function that returns a [`Result`] can fail, and the model is told the error.
//!
//! ```
//! openai_agents_plugin::export_plugin! {
//!     /// Counts the words of a text.
//!     fn count_words(
//!         /// The text.
//!         text: String,
//!         /// Whether words that are there twice count once; no if absent.
//!         distinct: Option<bool>,
//!     ) -> usize {
//!         let words = text.split_whitespace();
//!         if distinct == Some(true) {
//!             words.collect::<std::collections::BTreeSet<_>>().len()
//!         } else {
//!             words.count()
//!         }
//!     }
//!
//!     /// Divides two numbers.
//!     fn divide(dividend: f64, divisor: f64) -> Result<f64, String> {
//!         if divisor == 0.0 {
//!             return Err("the divisor is zero".to_owned());
//!         }
//!         Ok(dividend / divisor)
//!     }
//! }
//!
//! assert_eq!(count_words("a b a".to_owned(), Some(true)), 2);
//! ```
//!
//! A type of your own is a parameter if it derives `serde::Deserialize` and `schemars::JsonSchema`, and an output if it derives
//! `serde::Serialize`. The functions run on threads of the host, several at once, and may block. A panic fails the call and nothing
//! else. A shared library must not be built with `panic = "abort"`, because a panic would end the host.

mod tool;
pub mod abi;
#[cfg(target_arch = "wasm32")]
pub mod wasm;

pub use tool::{Outcome, Plugin, Tool};

#[doc(hidden)]
pub mod private {
    //! Used by the macro.

    pub use schemars::{JsonSchema, SchemaGenerator};
    pub use serde_json::{Map, Value};

    pub use crate::tool::{Arguments, Parameters, Returned};

    pub mod returns {
        //! The two traits of which the output of a function uses one.

        pub use crate::tool::{ReturnResult, ReturnValue};
    }
}

/// Turns functions into tools, and exports the table by which the host finds them.
///
/// Use it once in a library. Each function stays an ordinary function. A
/// [`shutdown`](Plugin::on_shutdown) may come first: `shutdown = function;` is called when the host
/// ends.
///
/// ```
/// openai_agents_plugin::export_plugin! {
///     shutdown = close;
///
///     /// Says hello.
///     fn hello(name: String) -> String {
///         format!("Hello, {name}!")
///     }
/// }
///
/// fn close() {}
/// ```
#[macro_export]
macro_rules! export_plugin {
    (shutdown = $shutdown:path; $($tools:tt)+) => {
        $crate::export_plugin! { @tools [$shutdown] $($tools)+ }
    };
    (
        @tools [$($shutdown:path)?]
        $(
            $(#[doc = $doc:literal])*
            $visibility:vis fn $name:ident(
                $( $(#[doc = $parameter_doc:literal])* $parameter:ident : $parameter_type:ty ),* $(,)?
            ) $(-> $output:ty)? $body:block
        )+
    ) => {
        $(
            $(#[doc = $doc])*
            $visibility fn $name($($parameter: $parameter_type),*) $(-> $output)? $body
        )+

        #[expect(unsafe_code, reason = "the table of a shared library is C")]
        const _: () = {
            use $crate::private::returns::*;

            static PLUGIN: $crate::Plugin = $crate::Plugin::new(&[
                $(
                    $crate::Tool {
                        name: ::core::stringify!($name),
                        description: ::core::concat!($($doc, "\n"),*),
                        parameters: || {
                            $crate::private::Parameters::new()
                                $(.with::<$parameter_type>(
                                    ::core::stringify!($parameter),
                                    ::core::concat!($($parameter_doc, "\n"),*),
                                ))*
                                .finish()
                        },
                        call: |arguments| {
                            let arguments = $crate::private::Arguments::parse(arguments)?;
                            $(let $parameter = arguments.take::<$parameter_type>(::core::stringify!($parameter))?;)*
                            ::core::mem::drop(arguments);
                            (&$crate::private::Returned::new($name($($parameter),*))).finish()
                        },
                    }
                ),+
            ])$(.on_shutdown($shutdown))?;

            $crate::export_table!(PLUGIN);
        };
    };
    ($($tools:tt)+) => {
        $crate::export_plugin! { @tools [] $($tools)+ }
    };
}
