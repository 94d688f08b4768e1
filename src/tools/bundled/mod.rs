//! Small tools for demos and first steps.

pub mod calculator;
pub mod clock;
