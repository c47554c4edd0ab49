//! `GetTokenKeys`: the key ring as it is stored, for a gateway that keeps a copy.
//!
//! The keys cross the wire sealed, as they lie in the database: they are of use only to a role that has the master key.

use idl::account::{GetTokenKeysRequest, GetTokenKeysResponse, SealedTokenKey};

use crate::{error::AccountError, service::Parts, store::token_keys::SealedKey};

#[expect(clippy::unnecessary_wraps, reason = "the form of every method")]
pub(crate) fn get_token_keys(parts: &Parts, _: &GetTokenKeysRequest) -> Result<GetTokenKeysResponse, AccountError> {
    let loaded = parts.keys.loaded();
    let complete_for = loaded.ring.complete_until().as_millis() - parts.clock.now().as_millis();
    Ok(GetTokenKeysResponse { keys: loaded.sealed.iter().map(sealed_key).collect(), complete_for_ms: complete_for })
}

fn sealed_key(key: &SealedKey) -> SealedTokenKey {
    SealedTokenKey {
        key_id: i64::from(key.id.get()),
        sealed: key.sealed.clone().into(),
        signs_from: key.signs_from.as_millis(),
    }
}

#[cfg(test)]
mod tests {
    use common::token::{
        access_token::{self, Buffer},
        key_ring::{KeyId, KeyRing, TokenKey},
        master_key::TokenKeyVault,
    };
    use idl::account::{AccountService, GetTokenKeysRequest};

    use crate::testing::{Service, config, public};

    common::on_each_database! {
        async fn who_has_the_master_key_opens_tokens_with_the_keys_and_nobody_else(database: TestDatabase) {
            let service = Service::start(database).await;
            let token = service.register("ann").await.expect("registered").tokens.access_token;
            let answer = public(service.account.get_token_keys(GetTokenKeysRequest {}).await).expect("keys");
            let [sealed] = answer.keys.as_slice() else { panic!("one key: {answer:?}") };
            let id = KeyId::new(u32::try_from(sealed.key_id).expect("32 bits"));
            let key = TokenKeyVault::new(service.master_key()).open(id, &sealed.sealed).expect("opens");
            let ring = KeyRing::new(vec![TokenKey::new(id, common::clock::Timestamp::default(), &key)]);
            assert!(access_token::open(&ring.expect("a key"), &token, &mut Buffer::default()).is_ok());
            let stranger = common::token::master_key::MasterKey::generate(&common::clock::SystemRandom);
            assert!(TokenKeyVault::new(&stranger).open(id, &sealed.sealed).is_none());
        }

        async fn it_says_for_how_long_no_key_can_be_missing(database: TestDatabase) {
            let service = Service::start(database).await;
            let announce = config().tokens.key_announce;
            let announce_ms = i64::try_from(announce.as_millis()).expect("small");
            for complete_for in [announce_ms, 0, -announce_ms] {
                let answer = public(service.account.get_token_keys(GetTokenKeysRequest {}).await).expect("keys");
                assert_eq!(answer.complete_for_ms, complete_for);
                service.clock.advance(announce);
            }
        }
    }
}
