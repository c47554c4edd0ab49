//! What names a person outside the platform: stored so that nobody who reads the database learns it, and found again
//! all the same.
//!
//! Two forms are kept of each: the value sealed under one key, and a **blind index**, an HMAC under another, that is
//! the same for the same value and can be looked up but not read back. A plain hash would not do: there are few enough
//! phone numbers to hash them all.

use std::fmt;

use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use common::clock::{Random, random_bytes};

use super::{
    cipher::{Cipher, NONCE_LENGTH},
    code_tries::SourceKey,
    ids::{AccountId, AppId},
    master_key::MasterKey,
    phone::PhoneNumber,
    phone_code::{Code, Scene},
};

/// Seals personal data and makes its indexes.
pub(crate) struct PersonalData {
    phones: Cipher,
    phone_indexes: hmac::Key,
    phone_codes: hmac::Key,
    subjects: hmac::Key,
}

/// What a phone is found by: 64 hexadecimal digits that tell nothing about it without the master key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PhoneIndex(String);

/// What is kept of a code. Bound to its phone, app and scene: without the master key it can't be searched for, and in
/// another row it means nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CodeDigest([u8; 32]);

impl PersonalData {
    pub(crate) fn new(master_key: &MasterKey) -> Self {
        let mac = |purpose| hmac::Key::new(hmac::HMAC_SHA256, master_key.derive(purpose).as_ref());
        Self {
            phones: Cipher::new(&master_key.derive("phones at rest, 1")),
            phone_indexes: mac("phone index, 1"),
            phone_codes: mac("phone codes, 1"),
            subjects: mac("limited subjects, 1"),
        }
    }

    pub(crate) fn index_of(&self, phone: &PhoneNumber) -> PhoneIndex {
        PhoneIndex(hex::encode(hmac::sign(&self.phone_indexes, phone.expose().as_bytes())))
    }

    /// Text of at most 80 characters that opens only as the phone of this account.
    pub(crate) fn seal(&self, phone: &PhoneNumber, owner: AccountId, random: &dyn Random) -> String {
        let nonce: [u8; NONCE_LENGTH] = random_bytes(random);
        let mut message = phone.expose().as_bytes().to_vec();
        self.phones.seal(nonce, &bound_to(owner, &self.index_of(phone)), &mut message);
        BASE64_URL_SAFE_NO_PAD.encode([nonce.as_slice(), &message].concat())
    }

    /// `None`: sealed under another master key, for another account or index, or damaged.
    pub(crate) fn open(&self, sealed: &str, owner: AccountId, index: &PhoneIndex) -> Option<PhoneNumber> {
        let mut sealed = BASE64_URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, message) = sealed.split_first_chunk_mut::<NONCE_LENGTH>()?;
        let phone = self.phones.open(*nonce, &bound_to(owner, index), message)?;
        PhoneNumber::parse(std::str::from_utf8(phone).ok()?).ok()
    }

    pub(crate) fn code_digest(&self, phone: &PhoneIndex, app_id: AppId, scene: Scene, code: &Code) -> CodeDigest {
        let bound = format!("{}|{app_id}|{}|{}", phone.as_str(), scene.as_str(), code.expose());
        let mut digest = [0; 32];
        digest.copy_from_slice(hmac::sign(&self.phone_codes, bound.as_bytes()).as_ref());
        CodeDigest(digest)
    }

    /// What stands for a device or a network beside the code of a phone: other for each kind and each master key.
    pub(crate) fn source_key(&self, kind: &str, source: &str) -> SourceKey {
        let mac = hmac::sign(&self.subjects, format!("phone code source|{kind}|{source}").as_bytes());
        let mut key = [0; 16];
        key.copy_from_slice(&mac.as_ref()[..16]);
        SourceKey::from_bytes(key)
    }

    /// The key under which something about an address, a device or a phone is counted where others can read it.
    pub(crate) fn subject_key(&self, prefix: &str, subject: &str) -> String {
        format!("{prefix}:{}", hex::encode(hmac::sign(&self.subjects, subject.as_bytes())))
    }
}

impl fmt::Debug for PersonalData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonalData(<redacted>)")
    }
}

impl PhoneIndex {
    /// As it was stored.
    pub(crate) fn from_stored(stored: String) -> Self {
        Self(stored)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl CodeDigest {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A row that is copied to another account, or put under another phone's index, does not open.
fn bound_to(owner: AccountId, index: &PhoneIndex) -> Vec<u8> {
    [b"phone".as_slice(), &owner.get().to_be_bytes(), index.as_str().as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use common::clock::testing::SeededRandom;

    use super::*;

    fn phone(text: &str) -> PhoneNumber {
        PhoneNumber::parse(text).expect("valid")
    }

    fn account(id: i64) -> AccountId {
        AccountId::parse(id).expect("in range")
    }

    #[test]
    fn a_sealed_phone_opens_only_for_its_account_under_its_index_and_master_key() {
        let random = SeededRandom::new(1);
        let data = PersonalData::new(&MasterKey::generate(&random));
        let (one, longest) = (phone("+8613812345678"), phone("+123456789012345"));
        let sealed = data.seal(&one, account(7), &random);
        let index = data.index_of(&one);
        assert_eq!(data.open(&sealed, account(7), &index), Some(one.clone()));
        assert_eq!(data.open(&sealed, account(8), &index), None);
        assert_eq!(data.open(&sealed, account(7), &data.index_of(&longest)), None);
        assert_eq!(data.open(&sealed[1..], account(7), &index), None);
        assert_eq!(data.open("", account(7), &index), None);
        assert_eq!(PersonalData::new(&MasterKey::generate(&random)).open(&sealed, account(7), &index), None);
        assert_ne!(data.seal(&one, account(7), &random), sealed, "every sealing has a nonce of its own");
        assert!(data.seal(&longest, account(i64::MAX >> 11), &random).len() <= 80);
    }

    #[test]
    fn one_phone_has_one_index_and_it_does_not_show_the_phone() {
        let random = SeededRandom::new(1);
        let data = PersonalData::new(&MasterKey::generate(&random));
        let index = data.index_of(&phone("+8613812345678"));
        assert_eq!(data.index_of(&phone("+8613812345678")), index);
        assert_ne!(data.index_of(&phone("+8613812345679")), index);
        assert_ne!(PersonalData::new(&MasterKey::generate(&random)).index_of(&phone("+8613812345678")), index);
        assert!(index.as_str().len() == 64 && !index.as_str().contains("138"));
    }

    #[test]
    fn a_code_counts_for_its_phone_app_and_scene_only() {
        let data = PersonalData::new(&MasterKey::generate(&SeededRandom::new(1)));
        let (app, other_app) = (AppId::parse(1).expect("in range"), AppId::parse(2).expect("in range"));
        let (one, other) = (data.index_of(&phone("+8613812345678")), data.index_of(&phone("+8613812345679")));
        let code = Code::parse("123456").expect("valid");
        let digest = data.code_digest(&one, app, Scene::Login, &code);
        assert_eq!(data.code_digest(&one, app, Scene::Login, &code), digest);
        for elsewhere in [
            data.code_digest(&other, app, Scene::Login, &code),
            data.code_digest(&one, other_app, Scene::Login, &code),
            data.code_digest(&one, app, Scene::Link, &code),
            data.code_digest(&one, app, Scene::Login, &Code::parse("123457").expect("valid")),
        ] {
            assert_ne!(elsewhere, digest);
        }
    }
}
