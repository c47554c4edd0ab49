//! Keys and tokens to judge. For tests only.

use std::time::Duration;

use common::{
    clock::Timestamp,
    token::{
        access_token::{self, Claims, DeviceClass},
        cipher::{KEY_LENGTH, NONCE_LENGTH},
        ids::{AccountId, AppId, SessionId},
        key_ring::{KeyId, KeyRing, TokenKey},
        read_ring::ReadRing,
    },
};

pub(crate) const APP: i64 = 7;
pub(super) const NOW: Timestamp = Timestamp::from_millis(1_750_000_000_000);
pub(super) const LIFETIME: Duration = Duration::from_secs(7200);

pub(crate) use super::tokens::tests::tokens;

/// A ring of one key that is complete for a minute.
pub(super) fn ring() -> ReadRing {
    let ring = KeyRing::new(vec![key(KeyId::FIRST)]).expect("not empty");
    ReadRing::new(ring, NOW + Duration::from_secs(60))
}

pub(super) fn session(number: u8) -> SessionId {
    SessionId::from_bytes([number; 16])
}

/// A good token of session and account `number`.
pub(crate) fn token(number: u8) -> String {
    token_of_key(KeyId::FIRST, number)
}

pub(super) fn token_of_key(id: KeyId, number: u8) -> String {
    let claims = Claims {
        account_id: AccountId::parse(i64::from(number)).expect("in range"),
        app_id: AppId::parse(APP).expect("in range"),
        session_id: session(number),
        issued_at: NOW,
        lifetime: LIFETIME,
        epoch: 0,
        device_class: DeviceClass(0),
        channel: Some("taptap"),
        device_id: Some("device-1"),
    };
    access_token::seal(&key(id), &claims, [5; NONCE_LENGTH])
}

fn key(id: KeyId) -> TokenKey {
    TokenKey::new(id, Timestamp::default(), &key_bytes(id))
}

/// The value of a key.
pub(super) fn key_bytes(id: KeyId) -> [u8; KEY_LENGTH] {
    [u8::try_from(id.get()).expect("small"); KEY_LENGTH]
}
