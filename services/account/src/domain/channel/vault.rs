//! Configurations of channels at rest: sealed as a whole, because what of them is secret is for their documents to say.

use std::fmt;

use common::clock::{Random, random_bytes};
use zeroize::Zeroizing;

use super::identity::ChannelName;
use crate::domain::{
    cipher::{Cipher, NONCE_LENGTH},
    ids::AppId,
    master_key::MasterKey,
};

/// Seals and opens documents.
pub(crate) struct ChannelVault {
    documents: Cipher,
}

/// Which document it is: sealed in another place, it does not open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DocumentPlace<'a> {
    pub(crate) app_id: AppId,
    pub(crate) channel: &'a ChannelName,
    pub(crate) version: i64,
}

impl ChannelVault {
    pub(crate) fn new(master_key: &MasterKey) -> Self {
        Self { documents: Cipher::new(&master_key.derive("channel documents at rest, 1")) }
    }

    /// nonce | ciphertext | tag.
    pub(crate) fn seal(&self, place: DocumentPlace<'_>, document: &str, random: &dyn Random) -> Vec<u8> {
        let nonce: [u8; NONCE_LENGTH] = random_bytes(random);
        let mut message = document.as_bytes().to_vec();
        self.documents.seal(nonce, &place.associated_data(), &mut message);
        [nonce.as_slice(), &message].concat()
    }

    /// `None`: sealed under another master key, in another place, or damaged.
    pub(crate) fn open(&self, place: DocumentPlace<'_>, sealed: &[u8]) -> Option<Zeroizing<String>> {
        let (nonce, message) = sealed.split_first_chunk::<NONCE_LENGTH>()?;
        let mut message = Zeroizing::new(message.to_vec());
        let document = self.documents.open(*nonce, &place.associated_data(), &mut message)?;
        std::str::from_utf8(document).ok().map(|document| Zeroizing::new(document.to_owned()))
    }
}

impl fmt::Debug for ChannelVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChannelVault(<redacted>)")
    }
}

impl DocumentPlace<'_> {
    fn associated_data(self) -> Vec<u8> {
        let numbers = [self.app_id.get().to_be_bytes(), self.version.to_be_bytes()].concat();
        [&numbers, self.channel.as_str().as_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use common::clock::testing::SeededRandom;

    use super::*;

    #[test]
    fn a_document_opens_only_in_its_place_and_under_its_master_key() {
        let random = SeededRandom::new(1);
        let vault = ChannelVault::new(&MasterKey::generate(&random));
        let (app_id, other_app) = (AppId::parse(1).expect("valid"), AppId::parse(2).expect("valid"));
        let (channel, other) = (ChannelName::parse("a").expect("valid"), ChannelName::parse("b").expect("valid"));
        let place = DocumentPlace { app_id, channel: &channel, version: 1 };
        let sealed = vault.seal(place, "{}", &random);
        assert_eq!(vault.open(place, &sealed).as_deref().map(String::as_str), Some("{}"));
        for elsewhere in [
            DocumentPlace { app_id: other_app, ..place },
            DocumentPlace { channel: &other, ..place },
            DocumentPlace { version: 2, ..place },
        ] {
            assert!(vault.open(elsewhere, &sealed).is_none(), "{elsewhere:?}");
        }
        assert!(ChannelVault::new(&MasterKey::generate(&random)).open(place, &sealed).is_none());
        assert!(vault.open(place, b"short").is_none());
    }
}
