//! Ids that nobody can guess.

#[cfg(feature = "server")]
use super::error::ApiError;

/// Makes 128 random bits, as 32 hexadecimal digits.
#[cfg(feature = "server")]
pub(super) fn random() -> Result<String, ApiError> {
    let failed = |_| ApiError::new(500, "server_error", "the system gives no random numbers");
    digits().map_err(failed)
}

/// As [`random`], for those who answer with other errors than the OpenAI API's.
pub(super) fn digits() -> Result<String, getrandom::Error> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}
