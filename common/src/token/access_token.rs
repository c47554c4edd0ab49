//! The access token: sealed claims that only this platform can read or make.
//!
//! `pg1.` + base64url without padding of
//! key id (4 bytes, big endian) | nonce (12) | ciphertext | tag (16),
//! sealed with AES-256-GCM-SIV; associated data = `pg1.` + key id.
//!
//! The plaintext is, all big endian: account id (8) | app id (8) | session id (16) | issued at, Unix ms (8) |
//! lifetime, ms (4) | epoch (4) | device class (1) | channel (1 length byte + text) | device id (1 + text).
//!
//! A new layout is a new prefix, which a release has to read before any makes it; the prefix also lets a leaked token be
//! recognised for what it is.

use std::{fmt, time::Duration};

use super::{
    cipher::{NONCE_LENGTH, TAG_LENGTH},
    ids::{AccountId, AppId, SessionId},
    key_ring::{KeyId, KeyRing, TokenKey},
};
use crate::clock::Timestamp;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// The longest channel a token holds.
pub const LONGEST_CHANNEL_BYTES: usize = 32;

/// The longest device id a token holds.
pub const LONGEST_DEVICE_ID_BYTES: usize = 128;

const PREFIX: &str = "pg1.";
const KEY_ID_LENGTH: usize = 4;
const ASSOCIATED_LENGTH: usize = PREFIX.len() + KEY_ID_LENGTH;
const FIXED_CLAIMS_LENGTH: usize = 8 + 8 + 16 + 8 + 4 + 4 + 1;
const LONGEST_CLAIMS: usize = FIXED_CLAIMS_LENGTH + 1 + LONGEST_CHANNEL_BYTES + 1 + LONGEST_DEVICE_ID_BYTES;
const LONGEST_SEALED: usize = KEY_ID_LENGTH + NONCE_LENGTH + LONGEST_CLAIMS + TAG_LENGTH;

/// No token of ours is longer; a longer text is refused before anything else is done with it.
pub const LONGEST_TOKEN: usize = PREFIX.len() + (LONGEST_SEALED * 4).div_ceil(3);

/// What a token says. Text is borrowed from the buffer the token was opened in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims<'b> {
    /// The player.
    pub account_id: AccountId,
    /// The app it was issued for.
    pub app_id: AppId,
    /// The session it belongs to.
    pub session_id: SessionId,
    /// When it was made.
    pub issued_at: Timestamp,
    /// Whole milliseconds below 2^32: at most 49 days.
    pub lifetime: Duration,
    /// The account's epoch when the token was issued: the token is revoked once the account's epoch is higher.
    pub epoch: u32,
    /// What kind of device the session is on.
    pub device_class: DeviceClass,
    /// At most 32 bytes; `None` is the official channel.
    pub channel: Option<&'b str>,
    /// At most 128 bytes.
    pub device_id: Option<&'b str>,
}

/// What kind of device a session belongs to, for limits that count per kind. Its byte is part of the layout, so that
/// naming more kinds needs no new token version. 0: the client did not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceClass(
    /// As it stands in the token.
    pub u8,
);

/// Where a token is opened: on the caller's stack, so that opening allocates nothing.
pub struct Buffer([u8; LONGEST_SEALED]);

/// Why a token did not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unopened {
    /// Not made by any key of the ring: forged, damaged or not a token at all.
    Forged,
    /// Well formed, but its key is not in the ring.
    UnknownKey(KeyId),
    /// Made by a key of the ring, so certainly one of ours, but its claims can't be read: a later version made it.
    Unreadable,
}

impl Claims<'_> {
    /// The first moment the token is no longer good.
    pub fn expires_at(&self) -> Timestamp {
        self.issued_at + self.lifetime
    }
}

impl Default for Buffer {
    fn default() -> Self {
        Self([0; LONGEST_SEALED])
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Buffer(<redacted>)")
    }
}

/// The lifetime of one new token: `ttl` less up to `share` of it, by a `fraction`; both in `0.0..=1.0`.
pub fn jittered_lifetime(ttl: Duration, share: f64, fraction: f64) -> Duration {
    let lifetime = ttl.mul_f64(1.0 - share.clamp(0.0, 1.0) * fraction.clamp(0.0, 1.0));
    Duration::from_millis(u64::from(whole_millis(lifetime)))
}

/// Makes the token. Text beyond its limit would not open again, so it is left out; parsing rules that out beforehand.
pub fn seal(key: &TokenKey, claims: &Claims<'_>, nonce: [u8; NONCE_LENGTH]) -> String {
    let key_id = key.id().get().to_be_bytes();
    let mut message = encode(claims);
    key.cipher().seal(nonce, &associated_data(key_id), &mut message);
    let sealed = [key_id.as_slice(), &nonce, &message].concat();
    let mut token = String::with_capacity(LONGEST_TOKEN);
    token.push_str(PREFIX);
    URL_SAFE_NO_PAD.encode_string(sealed, &mut token);
    token
}

/// Opens a token with exactly the key it names. Does no I/O and allocates nothing.
pub fn open<'b>(ring: &KeyRing, token: &str, buffer: &'b mut Buffer) -> Result<Claims<'b>, Unopened> {
    if token.len() > LONGEST_TOKEN {
        return Err(Unopened::Forged);
    }
    let encoded = token.strip_prefix(PREFIX).ok_or(Unopened::Forged)?;
    let length = URL_SAFE_NO_PAD.decode_slice(encoded, &mut buffer.0).map_err(|_| Unopened::Forged)?;
    let sealed = buffer.0.get_mut(..length).ok_or(Unopened::Forged)?;
    let (key_id, rest) = sealed.split_first_chunk_mut::<KEY_ID_LENGTH>().ok_or(Unopened::Forged)?;
    let (nonce, message) = rest.split_first_chunk_mut::<NONCE_LENGTH>().ok_or(Unopened::Forged)?;
    if message.len() < FIXED_CLAIMS_LENGTH + 2 + TAG_LENGTH {
        return Err(Unopened::Forged);
    }
    let id = KeyId::new(u32::from_be_bytes(*key_id));
    let key = ring.key(id).ok_or(Unopened::UnknownKey(id))?;
    let claims = key.cipher().open(*nonce, &associated_data(*key_id), message).ok_or(Unopened::Forged)?;
    decode(claims).ok_or(Unopened::Unreadable)
}

fn associated_data(key_id: [u8; KEY_ID_LENGTH]) -> [u8; ASSOCIATED_LENGTH] {
    let mut associated = [0; ASSOCIATED_LENGTH];
    associated[..PREFIX.len()].copy_from_slice(PREFIX.as_bytes());
    associated[PREFIX.len()..].copy_from_slice(&key_id);
    associated
}

fn encode(claims: &Claims<'_>) -> Vec<u8> {
    let mut plaintext = Vec::with_capacity(LONGEST_CLAIMS + TAG_LENGTH);
    plaintext.extend_from_slice(&claims.account_id.get().to_be_bytes());
    plaintext.extend_from_slice(&claims.app_id.get().to_be_bytes());
    plaintext.extend_from_slice(claims.session_id.as_bytes());
    plaintext.extend_from_slice(&claims.issued_at.as_millis().to_be_bytes());
    plaintext.extend_from_slice(&whole_millis(claims.lifetime).to_be_bytes());
    plaintext.extend_from_slice(&claims.epoch.to_be_bytes());
    plaintext.push(claims.device_class.0);
    push_text(&mut plaintext, claims.channel, LONGEST_CHANNEL_BYTES);
    push_text(&mut plaintext, claims.device_id, LONGEST_DEVICE_ID_BYTES);
    plaintext
}

fn push_text(plaintext: &mut Vec<u8>, text: Option<&str>, longest: usize) {
    let text = text.filter(|text| text.len() <= longest).unwrap_or_default();
    plaintext.push(u8::try_from(text.len()).unwrap_or_default());
    plaintext.extend_from_slice(text.as_bytes());
}

fn decode(mut plaintext: &[u8]) -> Option<Claims<'_>> {
    let rest = &mut plaintext;
    let claims = Claims {
        account_id: AccountId::parse(i64::from_be_bytes(take(rest)?)).ok()?,
        app_id: AppId::parse(i64::from_be_bytes(take(rest)?)).ok()?,
        session_id: SessionId::from_bytes(take(rest)?),
        issued_at: Timestamp::from_millis(i64::from_be_bytes(take(rest)?)),
        lifetime: Duration::from_millis(u64::from(u32::from_be_bytes(take(rest)?))),
        epoch: u32::from_be_bytes(take(rest)?),
        device_class: DeviceClass(u8::from_be_bytes(take(rest)?)),
        channel: take_text(rest)?,
        device_id: take_text(rest)?,
    };
    plaintext.is_empty().then_some(claims)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*bytes)
}

/// The outer `None`: malformed. The inner: no text.
fn take_text<'b>(rest: &mut &'b [u8]) -> Option<Option<&'b str>> {
    let [length] = take::<1>(rest)?;
    let (text, after) = rest.split_at_checked(usize::from(length))?;
    *rest = after;
    let text = std::str::from_utf8(text).ok()?;
    Some((!text.is_empty()).then_some(text))
}

fn whole_millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::token::cipher::KEY_LENGTH;

    pub(in crate::token) fn claims() -> Claims<'static> {
        Claims {
            account_id: AccountId::parse(10_001).expect("in range"),
            app_id: AppId::parse(7).expect("in range"),
            session_id: SessionId::from_bytes([9; 16]),
            issued_at: Timestamp::from_millis(1_750_000_000_000),
            lifetime: Duration::from_secs(7200),
            epoch: 3,
            device_class: DeviceClass(0),
            channel: Some("taptap"),
            device_id: Some("device-1"),
        }
    }

    fn key(id: u32, byte: u8) -> TokenKey {
        TokenKey::new(KeyId::new(id), Timestamp::default(), &[byte; KEY_LENGTH])
    }

    fn ring() -> KeyRing {
        KeyRing::new(vec![key(1, 1), key(2, 2)]).expect("not empty")
    }

    fn token() -> String {
        seal(&key(1, 1), &claims(), [5; NONCE_LENGTH])
    }

    #[test]
    fn a_token_opens_to_the_claims_it_was_made_of_whichever_key_made_it() {
        for key in [key(1, 1), key(2, 2)] {
            let mut buffer = Buffer::default();
            assert_eq!(open(&ring(), &seal(&key, &claims(), [5; NONCE_LENGTH]), &mut buffer), Ok(claims()));
        }
        let bare = Claims { channel: None, device_id: None, ..claims() };
        let token = seal(&key(1, 1), &bare, [5; NONCE_LENGTH]);
        assert_eq!(open(&ring(), &token, &mut Buffer::default()), Ok(bare));
        assert!(token.starts_with("pg1.") && token.len() < 130, "{}", token.len());
    }

    #[test]
    fn the_longest_claims_fit_and_one_byte_more_than_the_longest_token_is_refused() {
        let (channel, device) = ("c".repeat(32), "d".repeat(128));
        let longest = Claims { channel: Some(&channel), device_id: Some(&device), ..claims() };
        let token = seal(&key(1, 1), &longest, [5; NONCE_LENGTH]);
        assert_eq!(token.len(), LONGEST_TOKEN);
        assert_eq!(open(&ring(), &token, &mut Buffer::default()), Ok(longest));
        assert_eq!(open(&ring(), &format!("{token}A"), &mut Buffer::default()), Err(Unopened::Forged));
        assert_eq!(open(&ring(), &"p".repeat(1 << 20), &mut Buffer::default()), Err(Unopened::Forged));
    }

    #[test]
    fn a_key_of_the_same_id_but_another_value_does_not_open() {
        let other = KeyRing::new(vec![key(1, 3)]).expect("not empty");
        assert_eq!(open(&other, &token(), &mut Buffer::default()), Err(Unopened::Forged));
    }

    #[test]
    fn a_token_whose_key_id_was_changed_to_another_of_the_ring_is_refused() {
        let mut sealed = URL_SAFE_NO_PAD.decode(&token()[PREFIX.len()..]).expect("base64");
        sealed[3] = 2;
        let moved = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(&sealed));
        assert_eq!(open(&ring(), &moved, &mut Buffer::default()), Err(Unopened::Forged));
        sealed[3] = 3;
        let unknown = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(&sealed));
        assert_eq!(open(&ring(), &unknown, &mut Buffer::default()), Err(Unopened::UnknownKey(KeyId::new(3))));
    }

    #[test]
    fn claims_that_only_a_later_version_can_read_are_no_forgery() {
        let id = KeyId::new(1).get().to_be_bytes();
        let mut message = vec![0; FIXED_CLAIMS_LENGTH + 7];
        key(1, 1).cipher().seal([5; NONCE_LENGTH], &associated_data(id), &mut message);
        let sealed = [id.as_slice(), &[5; NONCE_LENGTH], &message].concat();
        let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(&sealed));
        assert_eq!(open(&ring(), &token, &mut Buffer::default()), Err(Unopened::Unreadable));
    }

    #[test]
    fn every_truncation_is_refused() {
        let token = token();
        for length in 0..token.len() {
            assert!(open(&ring(), &token[..length], &mut Buffer::default()).is_err(), "{length}");
        }
    }

    #[test]
    fn jitter_only_shortens_and_by_at_most_5_percent() {
        let ttl = Duration::from_secs(1000);
        assert_eq!(jittered_lifetime(ttl, 0.05, 0.0), ttl);
        assert_eq!(jittered_lifetime(ttl, 0.05, 0.5), Duration::from_secs(975));
        assert!(jittered_lifetime(ttl, 0.05, 0.999) >= Duration::from_secs(950));
    }

    proptest! {
        #[test]
        fn any_claims_survive_a_round_trip(
            account in 1..1_i64 << 53, app in 1..1_i64 << 53, session: [u8; 16], issued in 0..1_i64 << 48,
            lifetime: u32, epoch: u32, class: u8, channel in "[a-z]{1,32}", device in "\\PC{1,32}", nonce: [u8; 12],
        ) {
            let claims = Claims {
                account_id: AccountId::parse(account).expect("in range"),
                app_id: AppId::parse(app).expect("in range"),
                session_id: SessionId::from_bytes(session),
                issued_at: Timestamp::from_millis(issued),
                lifetime: Duration::from_millis(u64::from(lifetime)),
                epoch,
                device_class: DeviceClass(class),
                channel: Some(&channel),
                device_id: Some(&device),
            };
            let token = seal(&key(2, 2), &claims, nonce);
            prop_assert!(token.len() <= LONGEST_TOKEN);
            let mut buffer = Buffer::default();
            prop_assert_eq!(open(&ring(), &token, &mut buffer), Ok(claims));
        }

        #[test]
        fn no_flipped_bit_goes_unnoticed(position: prop::sample::Index, bit in 0..8_u8) {
            let mut sealed = URL_SAFE_NO_PAD.decode(&token()[PREFIX.len()..]).expect("base64");
            let index = position.index(sealed.len());
            sealed[index] ^= 1 << bit;
            let flipped = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(&sealed));
            prop_assert!(open(&ring(), &flipped, &mut Buffer::default()).is_err());
        }

        #[test]
        fn no_changed_character_goes_unnoticed(position: prop::sample::Index, other in "[A-Za-z0-9_.=-]") {
            let token = token();
            let index = position.index(token.len());
            let changed = format!("{}{other}{}", &token[..index], &token[index + 1..]);
            prop_assume!(changed != token);
            prop_assert!(open(&ring(), &changed, &mut Buffer::default()).is_err());
        }

        #[test]
        fn arbitrary_text_never_opens(text in "\\PC{0,400}") {
            prop_assert!(open(&ring(), &text, &mut Buffer::default()).is_err());
            let prefixed = format!("pg1.{text}");
            prop_assert!(open(&ring(), &prefixed, &mut Buffer::default()).is_err());
        }
    }
}
