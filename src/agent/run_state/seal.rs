//! The seal of a saved state: who has no key can neither change it nor make one.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::StateError;
use crate::secret::Secret;

/// What a seal is made over beside the state, so that a seal made for something else does not fit.
const PURPOSE: &[u8] = b"openai-agents run state\0";

/// The key by which saved run states are sealed.
///
/// A seal is HMAC-SHA256 over the version and the text of the state. It shows changes; it hides nothing.
#[derive(Clone)]
pub struct StateKey(Secret);

impl StateKey {
    /// Takes a key.
    ///
    /// # Errors
    ///
    /// [`StateError::WeakKey`] when it has fewer than 16 bytes.
    pub fn new(key: Secret) -> Result<Self, StateError> {
        if key.expose().len() < 16 {
            return Err(StateError::WeakKey);
        }
        Ok(Self(key))
    }

    pub(super) fn seal(&self, version: u32, text: &str) -> String {
        let tag = self
            .mac(version, text)
            .map(|mac| mac.finalize().into_bytes());
        hex(tag.as_deref().unwrap_or_default())
    }

    /// Compares in constant time.
    pub(super) fn is_seal_of(&self, seal: &str, version: u32, text: &str) -> bool {
        let (Some(mac), Some(tag)) = (self.mac(version, text), unhex(seal)) else {
            return false;
        };
        mac.verify_slice(&tag).is_ok()
    }

    /// HMAC takes keys of any length, so there always is one.
    fn mac(&self, version: u32, text: &str) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose().as_bytes()).ok()?;
        mac.update(PURPOSE);
        mac.update(&version.to_be_bytes());
        mac.update(text.as_bytes());
        Some(mac)
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|n| u8::from_str_radix(text.get(n..n + 2)?, 16).ok())
        .collect()
}

impl fmt::Debug for StateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StateKey(..)")
    }
}
