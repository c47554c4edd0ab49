//! The hashes that channels sign with, some of which nobody would choose today.

use aws_lc_rs::{digest, hmac};
use md5::{Digest, Md5};

use super::rules::Algorithm;

/// Bytes of a block of MD5 (RFC 2104, 2).
const MD5_BLOCK: usize = 64;

/// The hash of `content`; `None` for RSA, which is verified and not computed.
pub(super) fn hash(algorithm: Algorithm, key: &[u8], content: &[u8]) -> Option<Vec<u8>> {
    let mac = |algorithm| hmac::sign(&hmac::Key::new(algorithm, key), content).as_ref().to_vec();
    Some(match algorithm {
        Algorithm::Md5 => Md5::digest(content).to_vec(),
        Algorithm::Sha1 => digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, content).as_ref().to_vec(),
        Algorithm::Sha256 => digest::digest(&digest::SHA256, content).as_ref().to_vec(),
        Algorithm::HmacMd5 => hmac_md5(key, content),
        Algorithm::HmacSha1 => mac(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
        Algorithm::HmacSha256 => mac(hmac::HMAC_SHA256),
        Algorithm::RsaSha1 | Algorithm::RsaSha256 => return None,
    })
}

/// RFC 2104 with MD5.
fn hmac_md5(key: &[u8], content: &[u8]) -> Vec<u8> {
    let mut block = [0; MD5_BLOCK];
    if key.len() > MD5_BLOCK {
        block[..16].copy_from_slice(&Md5::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Md5::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(content).finalize();
    Md5::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hashes_are_the_known_ones() {
        let hex = |algorithm, key: &[u8], content: &str| hash(algorithm, key, content.as_bytes()).map(hex::encode);
        // RFC 1321, FIPS 180.
        for (algorithm, expected) in [
            (Algorithm::Md5, "900150983cd24fb0d6963f7d28e17f72"),
            (Algorithm::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (Algorithm::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ] {
            assert_eq!(hex(algorithm, b"", "abc").as_deref(), Some(expected));
        }
        // RFC 2202 and RFC 4231, cases 2 and 6.
        let (what, larger) = ("what do ya want for nothing?", "Test Using Larger Than Block-Size Key - Hash Key First");
        for (algorithm, key, content, expected) in [
            (Algorithm::HmacMd5, b"Jefe".as_slice(), what, "750c783e6ab0b503eaa86e310a5db738"),
            (Algorithm::HmacMd5, &[0xaa; 80], larger, "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd"),
            (Algorithm::HmacSha1, b"Jefe", what, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
            (Algorithm::HmacSha256, b"Jefe", what, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        ] {
            assert_eq!(hex(algorithm, key, content).as_deref(), Some(expected));
        }
        assert_eq!(hex(Algorithm::RsaSha256, b"", ""), None);
    }
}
