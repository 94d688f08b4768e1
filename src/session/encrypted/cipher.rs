//! Encrypts and decrypts single items.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, Generate, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::key::{SessionKey, SessionKeys};
use crate::item::Item;
use crate::session::{SessionCause, SessionError, SessionId};

/// The purpose of the derived keys, in the associated data. Another format has another name.
const PURPOSE: &[u8] = b"openai-agents session item 1";
const TYPE: &str = "encrypted_item";
const NONCE_BYTES: usize = 24;

/// The keys of one session.
pub(super) struct Ciphers {
    session: SessionId,
    current: Cipher,
    old: Vec<Cipher>,
}

struct Cipher {
    key_id: String,
    associated: Vec<u8>,
    aead: XChaCha20Poly1305,
}

/// The stored form of an encrypted item.
#[derive(Serialize, Deserialize)]
struct Sealed {
    r#type: String,
    version: u32,
    key_id: String,
    /// The nonce and the ciphertext, in base64.
    data: String,
}

impl Ciphers {
    pub(super) fn new(session: &SessionId, keys: &SessionKeys) -> Self {
        Self {
            session: session.clone(),
            current: Cipher::new(session, &keys.current),
            old: keys
                .old
                .iter()
                .map(|key| Cipher::new(session, key))
                .collect(),
        }
    }

    pub(super) fn encrypt(&self, item: &Item) -> Result<Item, SessionError> {
        let refused = |source: SessionCause| SessionError::Refused {
            store: "of encrypted items".to_owned(),
            source,
        };
        // Random for each item: 24 bytes are enough that two never meet, so no count has to be kept
        // anywhere.
        let nonce = XNonce::try_generate().map_err(|error| refused(error.to_string().into()))?;
        let payload = Payload {
            msg: item.to_json().as_bytes(),
            aad: &self.current.associated,
        };
        let encrypted = self.current.aead.encrypt(&nonce, payload);
        let encrypted = encrypted.map_err(|_| refused("the item is too long".into()))?;
        let sealed = Sealed {
            r#type: TYPE.to_owned(),
            version: 1,
            key_id: self.current.key_id.clone(),
            data: STANDARD.encode([nonce.as_slice(), &encrypted].concat()),
        };
        let json = serde_json::to_string(&sealed).map_err(|error| refused(error.into()))?;
        Item::from_json(&json).map_err(|error| refused(error.into()))
    }

    pub(super) fn decrypt(&self, item: &Item, place: usize) -> Result<Item, SessionError> {
        let undecryptable = |detail| SessionError::Undecryptable {
            session: self.session.clone(),
            item: place,
            detail,
        };
        if item.kind().type_name() != TYPE {
            return Err(undecryptable("it is not encrypted"));
        }
        let sealed: Sealed = serde_json::from_str(item.to_json())
            .map_err(|_| undecryptable("a field of it is missing"))?;
        if sealed.version != 1 {
            return Err(undecryptable("it has a newer format"));
        }
        let cipher = std::iter::once(&self.current)
            .chain(&self.old)
            .find(|cipher| cipher.key_id == sealed.key_id);
        let Some(cipher) = cipher else {
            return Err(SessionError::UnknownKey {
                session: self.session.clone(),
                item: place,
                key_id: sealed.key_id,
            });
        };
        // One text for all of these. Cryptography cannot tell a wrong key from a changed item.
        let changed = || undecryptable("the key is another, or it was changed or moved");
        let data = STANDARD.decode(&sealed.data).map_err(|_| changed())?;
        let (nonce, encrypted) = data.split_at_checked(NONCE_BYTES).ok_or_else(changed)?;
        let nonce = XNonce::try_from(nonce).map_err(|_| changed())?;
        let payload = Payload {
            msg: encrypted,
            aad: &cipher.associated,
        };
        let json = cipher
            .aead
            .decrypt(&nonce, payload)
            .map_err(|_| changed())?;
        let json = std::str::from_utf8(&json).map_err(|_| changed())?;
        Item::from_json(json).map_err(|_| undecryptable("what was encrypted is not an item"))
    }
}

impl Cipher {
    fn new(session: &SessionId, key: &SessionKey) -> Self {
        let associated = associated(session, key.id());
        let mut derived = Zeroizing::new([0; 32]);
        // A key for each session, so that an item that is put into another session cannot be
        // decrypted there.
        let hkdf = Hkdf::<Sha256>::new(Some(session.as_str().as_bytes()), key.secret());
        #[expect(clippy::expect_used, reason = "32 bytes are one block of SHA-256")]
        hkdf.expand(&associated, derived.as_mut())
            .expect("HKDF-SHA256 gives up to 8160 bytes");
        Self {
            key_id: key.id().to_owned(),
            associated,
            aead: XChaCha20Poly1305::new((&*derived).into()),
        }
    }
}

/// Returns purpose, key and session. The length of the key id keeps the two ids apart.
fn associated(session: &SessionId, key_id: &str) -> Vec<u8> {
    let mut bytes = PURPOSE.to_vec();
    bytes.extend((key_id.len() as u64).to_be_bytes());
    bytes.extend(key_id.as_bytes());
    bytes.extend(session.as_str().as_bytes());
    bytes
}
