//! Bodies that come as gzip.

use std::io::Read;

use flate2::bufread::MultiGzDecoder;

use crate::config::LimitsConfig;

/// Inflated bytes for which the ratio is not looked at: a short and very regular body is no bomb.
const RATIO_FREE_BYTES: usize = 64 << 10;

/// Why a body can't be inflated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InflateError {
    /// Not gzip, cut off, damaged, or followed by something that is not gzip.
    #[error("the body is not gzip, or damaged")]
    NotGzip,
    /// More than `limits.compressed_bytes_max`.
    #[error("more than {max} bytes of gzip")]
    CompressedTooLarge {
        /// How many there may be.
        max: usize,
    },
    /// More than `limits.inflated_bytes_max`.
    #[error("more than {max} bytes once inflated")]
    InflatedTooLarge {
        /// How many there may be.
        max: usize,
    },
    /// More than `limits.inflate_ratio_max` times its size.
    #[error("inflates to more than {max} times its size")]
    RatioTooHigh {
        /// How many times it may be.
        max: u32,
    },
}

/// What a gzip body holds. Several members one after the other are one body (RFC 1952, 2.2), and the limits are for all
/// of them together; anything else behind the last one, padding included, is refused. Checksums are checked. No more
/// is inflated than the limits allow, whatever the body claims.
///
/// # Errors
/// [`InflateError`]; nothing of the body is used then.
pub fn inflate_gzip(body: &[u8], limits: &LimitsConfig) -> Result<Vec<u8>, InflateError> {
    let compressed_max = limits.compressed_bytes_max.get();
    if body.len() > compressed_max {
        return Err(InflateError::CompressedTooLarge { max: compressed_max });
    }
    if body.is_empty() {
        return Err(InflateError::NotGzip);
    }
    let inflated_max = limits.inflated_bytes_max.get();
    let ratio_max = limits.inflate_ratio_max.get();
    let by_ratio = body.len().saturating_mul(ratio_max as usize).max(RATIO_FREE_BYTES);
    let mut inflated = Vec::with_capacity(body.len().saturating_mul(4).min(inflated_max).min(by_ratio));
    // One byte more than allowed tells a body that is too large from one that is just large enough.
    let most = inflated_max.min(by_ratio);
    let mut decoder = MultiGzDecoder::new(body).take(u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1));
    decoder.read_to_end(&mut inflated).map_err(|_| InflateError::NotGzip)?;
    match inflated.len() {
        len if len <= most => Ok(inflated),
        _ if most == inflated_max => Err(InflateError::InflatedTooLarge { max: inflated_max }),
        _ => Err(InflateError::RatioTooHigh { max: ratio_max }),
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, num::NonZeroUsize};

    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn size(count: usize) -> NonZeroUsize {
        NonZeroUsize::new(count).unwrap()
    }

    fn inflate(body: &[u8]) -> Result<Vec<u8>, InflateError> {
        inflate_gzip(body, &LimitsConfig::default())
    }

    #[test]
    fn members_one_after_the_other_are_one_body() {
        let body = [gzip(b"{}\n"), gzip(b""), gzip(b"{}")].concat();
        assert_eq!(inflate(&body).unwrap(), b"{}\n{}");
    }

    #[test]
    fn what_is_cut_off_changed_or_followed_by_something_else_is_refused() {
        let body = gzip(&b"a event and another event".repeat(9));
        for end in 0..body.len() {
            assert_eq!(inflate(&body[..end]), Err(InflateError::NotGzip), "{end}");
        }
        let mut flipped = body.clone();
        let checksum = body.len() - 6;
        flipped[checksum] ^= 1;
        assert_eq!(inflate(&flipped), Err(InflateError::NotGzip));
        for rest in [&b"x"[..], b"\0\0\0\0\0\0\0\0\0\0\0\0", b"{}"] {
            assert_eq!(inflate(&[&body, rest].concat()), Err(InflateError::NotGzip), "{rest:?}");
        }
    }

    #[test]
    fn a_bomb_is_stopped_by_its_ratio_or_its_size() {
        let bomb = gzip(&vec![b' '; 4 << 20]);
        assert_eq!(inflate(&bomb), Err(InflateError::RatioTooHigh { max: 100 }));
        let members = gzip(&vec![b' '; 60 << 10]).repeat(20);
        assert_eq!(inflate(&members), Err(InflateError::RatioTooHigh { max: 100 }), "nor in slices");
        let limits = LimitsConfig { inflated_bytes_max: size(1000), ..LimitsConfig::default() };
        assert_eq!(inflate_gzip(&gzip(&[b' '; 1000]), &limits).unwrap().len(), 1000);
        assert_eq!(inflate_gzip(&gzip(&[b' '; 1001]), &limits), Err(InflateError::InflatedTooLarge { max: 1000 }));
        let limits = LimitsConfig { compressed_bytes_max: size(10), ..LimitsConfig::default() };
        assert_eq!(inflate_gzip(&gzip(b"x"), &limits), Err(InflateError::CompressedTooLarge { max: 10 }));
    }

    #[test]
    fn a_short_and_regular_body_is_no_bomb() {
        assert_eq!(inflate(&gzip(&vec![b' '; 64 << 10])).unwrap().len(), 64 << 10);
    }

    proptest! {
        #[test]
        fn no_body_breaks_it(body in proptest::collection::vec(any::<u8>(), 0..100), header in any::<bool>()) {
            let head: &[u8] = if header { b"\x1f\x8b\x08\0\0\0\0\0\0\xff" } else { b"" };
            let _ = inflate(&[head, &body].concat());
        }

        #[test]
        fn what_was_compressed_comes_back(bytes in proptest::collection::vec(any::<u8>(), 1..2000)) {
            prop_assert_eq!(inflate(&gzip(&bytes)).unwrap(), bytes);
        }
    }
}
