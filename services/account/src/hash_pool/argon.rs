//! The work itself: one Argon2id (RFC 9106) hash, and comparing with a stored one. Blocks for as long as it takes.

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::{
        self,
        phc::{Output, ParamsString, PasswordHash, Salt},
    },
};
use subtle::ConstantTimeEq;
use tokio::sync::oneshot;

use super::{Comparison, HashError, HashPoolConfig};
use crate::domain::{
    password::Password,
    stored_hash::{Argon2idHash, StoredHash},
};

const OUTPUT_LENGTH: usize = 32;

/// What a thread is asked to do, and where it answers.
pub(super) enum Work {
    Hash {
        password: Password,
        salt: [u8; 16],
        answer: oneshot::Sender<Result<String, HashError>>,
    },
    /// The salt is for the hash that replaces one which is not as we make them now.
    Verify {
        password: Password,
        stored: Arc<str>,
        salt: [u8; 16],
        answer: oneshot::Sender<Result<Comparison, HashError>>,
    },
}

/// One thread's hasher. Keeps its memory from hash to hash: giving 19 MiB back and fetching it again costs half a
/// millisecond.
#[derive(Clone)]
pub(super) struct Hasher {
    params: Params,
    memory: Vec<Block>,
}

impl Work {
    /// Nobody waits for the answer any more.
    pub(super) fn is_abandoned(&self) -> bool {
        match self {
            Self::Hash { answer, .. } => answer.is_closed(),
            Self::Verify { answer, .. } => answer.is_closed(),
        }
    }

    /// Answers without having done it.
    pub(super) fn refuse(self, error: HashError) {
        match self {
            Self::Hash { answer, .. } => reply(answer, Err(error)),
            Self::Verify { answer, .. } => reply(answer, Err(error)),
        }
    }

    /// Does it, calls `done`, and answers.
    pub(super) fn run(self, hasher: &mut Hasher, done: impl FnOnce()) {
        match self {
            Self::Hash { password, salt, answer } => {
                let hashed = hasher.hash(password.as_bytes(), &salt);
                done();
                reply(answer, hashed.map_err(|_| HashError::Failed));
            }
            Self::Verify { password, stored, salt, answer } => {
                let comparison = hasher.verify(&password, &stored, &salt);
                done();
                reply(answer, comparison.ok_or(HashError::Failed));
            }
        }
    }
}

/// That nobody waits for the answer any more is fine.
fn reply<T>(answer: oneshot::Sender<T>, value: T) {
    let _ = answer.send(value);
}

impl Hasher {
    pub(super) fn new(config: &HashPoolConfig) -> Result<Self, argon2::Error> {
        let params = Params::new(config.memory_kib, config.iterations, config.parallelism, Some(OUTPUT_LENGTH))?;
        Ok(Self { params, memory: Vec::new() })
    }

    /// The hash as a PHC string, with its parameters and salt.
    pub(super) fn hash(&mut self, password: &[u8], salt: &[u8; 16]) -> password_hash::Result<String> {
        let mut output = [0; OUTPUT_LENGTH];
        let params = self.params.clone();
        self.fill(password, salt, &mut output, params.clone())?;
        let hash = PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&params)?,
            salt: Some(Salt::new(salt)?),
            hash: Some(Output::new(&output)?),
        };
        Ok(hash.to_string())
    }

    /// `None`: `stored` is not a hash this process would compute.
    fn verify(&mut self, password: &Password, stored: &str, salt: &[u8; 16]) -> Option<Comparison> {
        let matches = match StoredHash::parse(stored).ok()? {
            StoredHash::Argon2id(hash) => {
                let matches = self.matches(password, &hash)?;
                if hash.is_made_with(&self.params) {
                    return Some(if matches { Comparison::Right { replacement: None } } else { Comparison::Wrong });
                }
                matches
            }
            StoredHash::Legacy(hash) => hash.matches(password.as_typed()),
        };
        // Computed also when the password is wrong: an account with a cheap hash must not answer sooner than one that
        // does not exist, or the time would tell which names do.
        let replacement = self.hash(password.as_bytes(), salt).ok();
        Some(if matches { Comparison::Right { replacement } } else { Comparison::Wrong })
    }

    fn matches(&mut self, password: &Password, stored: &Argon2idHash) -> Option<bool> {
        let mut output = vec![0; stored.output.len()];
        self.fill(password.as_bytes(), &stored.salt, &mut output, stored.params.clone()).ok()?;
        Some(output.ct_eq(stored.output.as_bytes()).into())
    }

    fn fill(&mut self, password: &[u8], salt: &[u8], output: &mut [u8], params: Params) -> Result<(), argon2::Error> {
        let blocks = params.block_count();
        if self.memory.len() < blocks {
            self.memory.resize(blocks, Block::new());
        }
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        argon.hash_password_into_with_memory(password, salt, output, &mut self.memory[..blocks])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_guess_at_a_cheap_hash_costs_one_of_ours() {
        let config = HashPoolConfig { memory_kib: 64, iterations: 1, ..HashPoolConfig::default() };
        let cheaper = HashPoolConfig { memory_kib: 8, ..config };
        let earlier = Hasher::new(&cheaper).expect("valid").hash(b"hashcat", &[0; 16]).expect("hashed");
        for stored in ["$md5$f=pass$$8743b52063cd84097a65d1633f5c74f5", &earlier] {
            let mut hasher = Hasher::new(&config).expect("valid");
            let wrong = Password::present("wrong").expect("valid");
            assert_eq!(hasher.verify(&wrong, stored, &[0; 16]), Some(Comparison::Wrong));
            assert_eq!(hasher.memory.len(), hasher.params.block_count(), "{stored}");
        }
    }
}
