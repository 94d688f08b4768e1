//! What the code that `#[tool]` writes, the benchmarks and the fuzz targets refer to; not part of the public API.

#[cfg(feature = "http")]
pub mod bench;
#[cfg(feature = "http")]
pub mod fuzz;

use std::error::Error;

pub use schemars;
pub use serde;

use crate::tools::{IntoToolOutput, ToolOutput};

/// Wraps what the function of a tool returned, so that its type picks the conversion.
///
/// The inherent method of `Returned<Result<..>>` wins over the trait's method, which is there for every type. So a `Result` is seen
/// through under whatever name it is returned, and the error of a tool is never serialised as if it were an output.
#[derive(Debug)]
pub struct Returned<T>(pub T);

impl<T, E> Returned<Result<T, E>> {
    /// Converts the result of a tool that can fail.
    pub fn into_output(self) -> Result<ToolOutput, Box<dyn Error + Send + Sync>>
    where
        T: IntoToolOutput,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let output = self.0.map_err(Into::into)?;
        Ok(output.into_tool_output()?)
    }
}

/// Converts what a tool that cannot fail returned.
pub trait ReturnedPlain<T> {
    /// Converts the value.
    fn into_output(self) -> Result<ToolOutput, Box<dyn Error + Send + Sync>>
    where
        T: IntoToolOutput;
}

impl<T> ReturnedPlain<T> for Returned<T> {
    fn into_output(self) -> Result<ToolOutput, Box<dyn Error + Send + Sync>>
    where
        T: IntoToolOutput,
    {
        Ok(self.0.into_tool_output()?)
    }
}

/// Holds for the types that a parameter of a tool can have.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the type of a tool's parameter",
    label = "the model cannot be told how to write this",
    note = "derive `serde::Deserialize` and `schemars::JsonSchema` for it"
)]
pub trait Parameter {}

#[diagnostic::do_not_recommend]
impl<T: serde::de::DeserializeOwned + schemars::JsonSchema> Parameter for T {}

/// Compiles for the types that a parameter can have.
pub const fn assert_parameter<T: Parameter>() {}
