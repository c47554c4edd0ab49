//! Argon2id (RFC 9106) in the PHC string format. Computing it is in `hash_pool`, which keeps the memory for it.

use argon2::{
    Algorithm, Params, Version,
    password_hash::phc::{Output, PasswordHash, Salt},
};

use super::HashFormError;

/// No hash takes more memory than this, 1 GiB: neither one that is configured nor one that is stored, which could
/// otherwise take the process down.
pub(crate) const MOST_MEMORY_KIB: u32 = 1 << 20;

/// Nor more memory times passes than this: about 5 s of a core.
pub(crate) const LARGEST_PASSES_OF_MEMORY_KIB: u64 = 1 << 23;

const NAME: &str = "Argon2id";

/// What it takes to compare a password with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Argon2idHash {
    pub(crate) params: Params,
    pub(crate) salt: Salt,
    pub(crate) output: Output,
}

impl Argon2idHash {
    pub(super) fn parse(text: &str) -> Result<Self, HashFormError> {
        let damaged = HashFormError::Damaged(NAME);
        let hash = PasswordHash::new(text).map_err(|_| damaged)?;
        let params = Params::try_from(&hash).map_err(|_| damaged)?;
        let version = hash.version.and_then(|version| Version::try_from(version).ok());
        if hash.algorithm != Algorithm::Argon2id.ident() || version != Some(Version::V0x13) {
            return Err(damaged);
        }
        let price = u64::from(params.m_cost()) * u64::from(params.t_cost());
        if params.m_cost() > MOST_MEMORY_KIB || price > LARGEST_PASSES_OF_MEMORY_KIB {
            return Err(HashFormError::TooCostly(NAME));
        }
        Ok(Self { params, salt: hash.salt.ok_or(damaged)?, output: hash.hash.ok_or(damaged)? })
    }

    /// Was it made with `params`, the length of the output included?
    pub(crate) fn is_made_with(&self, params: &Params) -> bool {
        let costs = |params: &Params| (params.m_cost(), params.t_cost(), params.p_cost());
        costs(&self.params) == costs(params) && Some(self.output.len()) == params.output_len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the README of phc-winner-argon2, the reference implementation, with a shorter price.
    const GOOD: &str = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$RdescudvJCsgt3ub+b27wzP5AyuEdmLk1MDmGLLGVbg";

    #[test]
    fn parameters_salt_and_output_are_read() {
        let hash = Argon2idHash::parse(GOOD).expect("parses");
        assert_eq!((hash.params.m_cost(), hash.params.t_cost(), hash.params.p_cost()), (65536, 2, 1));
        assert_eq!((&*hash.salt, hash.output.len()), (b"somesalt".as_slice(), 32));
        assert!(hash.is_made_with(&Params::new(65536, 2, 1, Some(32)).expect("valid")));
        for other in [(65536, 3, 1, 32), (65537, 2, 1, 32), (65536, 2, 2, 32), (65536, 2, 1, 16)] {
            let params = Params::new(other.0, other.1, other.2, Some(other.3)).expect("valid");
            assert!(!hash.is_made_with(&params), "{other:?}");
        }
    }

    #[test]
    fn what_cannot_be_or_costs_too_much_is_refused() {
        for damaged in [
            "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ",
            "$argon2id$v=16$m=65536,t=2,p=1$c29tZXNhbHQ$RdescudvJCsgt3ub+b27wzP5AyuEdmLk1MDmGLLGVbg",
            "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$RdescudvJCsgt3ub+b27wzP5AyuEdmLk1MDmGLLGVbg",
            "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$!",
        ] {
            assert_eq!(Argon2idHash::parse(damaged), Err(HashFormError::Damaged(NAME)), "{damaged}");
        }
        for price in ["m=4194304,t=2,p=1", "m=65536,t=4000000,p=1"] {
            let costly = GOOD.replace("m=65536,t=2,p=1", price);
            assert_eq!(Argon2idHash::parse(&costly), Err(HashFormError::TooCostly(NAME)), "{price}");
        }
    }
}
