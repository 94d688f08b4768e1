//! Ids that nobody can guess.

use super::error::ApiError;

/// Makes 128 random bits, as 32 hexadecimal digits.
pub(super) fn random() -> Result<String, ApiError> {
    let mut bytes = [0_u8; 16];
    let failed = |_| ApiError::new(500, "server_error", "there are no random numbers");
    getrandom::fill(&mut bytes).map_err(failed)?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}
