//! The one cipher: AES-256-GCM-SIV (RFC 8452).
//!
//! Chosen because a repeated nonce costs it next to nothing: nonces are drawn at random, and the number of tokens sealed
//! under one key needs no counting. It does not commit to its key, so callers choose exactly one key before opening.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::clock::{Random, random_bytes};

/// Bytes of a key.
pub const KEY_LENGTH: usize = 32;
/// Bytes of a nonce.
pub const NONCE_LENGTH: usize = 12;
/// Bytes that sealing adds.
pub const TAG_LENGTH: usize = 16;

/// A key, ready to use.
pub struct Cipher(LessSafeKey);

impl Cipher {
    /// The cipher under this key.
    #[expect(clippy::expect_used, reason = "fails only for a key of another length, which the type rules out")]
    pub fn new(key: &[u8; KEY_LENGTH]) -> Self {
        Self(LessSafeKey::new(UnboundKey::new(&AES_256_GCM_SIV, key).expect("the key has 32 bytes")))
    }

    /// Replaces the plaintext in `message` by ciphertext and tag.
    #[expect(clippy::expect_used, reason = "fails only beyond 2^36 bytes; the callers seal a few hundred")]
    pub fn seal(&self, nonce: [u8; NONCE_LENGTH], associated: &[u8], message: &mut Vec<u8>) {
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(associated), message)
            .expect("the message is short");
    }

    /// Opens `message` (ciphertext and tag) in place and gives the plaintext; `None` when it was not sealed by this
    /// key with this nonce and associated data.
    pub fn open<'m>(&self, nonce: [u8; NONCE_LENGTH], associated: &[u8], message: &'m mut [u8]) -> Option<&'m [u8]> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.0.open_in_place(nonce, Aad::from(associated), message).ok().map(|plaintext| &*plaintext)
    }

    /// Seals for storage, under a nonce of its own: nonce | ciphertext | tag.
    pub fn seal_for_storage(&self, associated: &[u8], plaintext: &[u8], random: &dyn Random) -> Vec<u8> {
        let nonce: [u8; NONCE_LENGTH] = random_bytes(random);
        let mut message = plaintext.to_vec();
        self.seal(nonce, associated, &mut message);
        [nonce.as_slice(), &message].concat()
    }

    /// Opens what [`seal_for_storage`](Self::seal_for_storage) made; `None` when it is anything else.
    pub fn open_stored(&self, associated: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, message) = sealed.split_first_chunk::<NONCE_LENGTH>()?;
        let mut message = Zeroizing::new(message.to_vec());
        let plaintext = self.open(*nonce, associated, &mut message)?;
        Some(Zeroizing::new(plaintext.to_vec()))
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher(<redacted>)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0100000000000000000000000000000000000000000000000000000000000000";
    const NONCE: &str = "030000000000000000000000";

    fn bytes(hex_text: &str) -> Vec<u8> {
        hex::decode(hex_text).expect("hex")
    }

    /// RFC 8452, Appendix C.2: plaintext, associated data, result.
    const VECTORS: &[(&str, &str, &str)] = &[
        ("", "", "07f5f4169bbf55a8400cd47ea6fd400f"),
        ("0100000000000000", "", "c2ef328e5c71c83b843122130f7364b761e0b97427e3df28"),
        ("010000000000000000000000", "", "9aab2aeb3faa0a34aea8e2b18ca50da9ae6559e48fd10f6e5c9ca17e"),
        (
            "0100000000000000000000000000000002000000000000000000000000000000",
            "",
            "4a6a9db4c8c6549201b9edb53006cba821ec9cf850948a7c86c68ac7539d027fe819e63abcd020b006a976397632eb5d",
        ),
        ("0200000000000000", "01", "1de22967237a813291213f267e3b452f02d01ae33e4ec854"),
        ("020000000000000000000000", "01", "163d6f9cc1b346cd453a2e4cc1a4a19ae800941ccdc57cc8413c277f"),
        ("02000000000000000000000000000000", "01", "c91545823cc24f17dbb0e9e807d5ec17b292d28ff61189e8e49f3875ef91aff7"),
        (
            "0200000000000000000000000000000003000000000000000000000000000000",
            "01",
            "07dad364bfc2b9da89116d7bef6daaaf6f255510aa654f920ac81b94e8bad365aea1bad12702e1965604374aab96dbbc",
        ),
    ];

    #[test]
    fn the_vectors_of_rfc_8452_are_met_in_both_directions() {
        let cipher = Cipher::new(bytes(KEY).as_slice().try_into().expect("32 bytes"));
        let nonce: [u8; NONCE_LENGTH] = bytes(NONCE).try_into().expect("12 bytes");
        for (plaintext, associated, result) in VECTORS {
            let mut message = bytes(plaintext);
            cipher.seal(nonce, &bytes(associated), &mut message);
            assert_eq!(hex::encode(&message), *result);
            assert_eq!(cipher.open(nonce, &bytes(associated), &mut message), Some(bytes(plaintext).as_slice()));
        }
    }

    #[test]
    fn other_associated_data_does_not_open() {
        let cipher = Cipher::new(&[1; KEY_LENGTH]);
        let mut message = b"hello".to_vec();
        cipher.seal([0; NONCE_LENGTH], b"one", &mut message);
        assert_eq!(cipher.open([0; NONCE_LENGTH], b"two", &mut message), None);
    }
}
