//! `GetSigningKeys`: the public keys that ID tokens are verified with.
//!
//! Answers from memory: what was read last stays right while the database is away, since nobody can add a key then.

use idl::account::{GetSigningKeysResponse, SigningKeyInfo};

use crate::{domain::signing_key::SigningKey, service::Parts};

pub(crate) fn get_signing_keys(parts: &Parts) -> GetSigningKeysResponse {
    let (now, pace) = (parts.clock.now(), parts.config.id_token_pace());
    // A key that was added just after the last read signs no earlier than `key_announce` after it; verifiers are told
    // the shorter `keys_max_age`, and the time since the read counts against it.
    let age = now.since(parts.signing_keys.read_at());
    let complete_for = parts.config.id_token.keys_max_age.saturating_sub(age);
    GetSigningKeysResponse {
        keys: parts.signing_keys.known().published(pace, now).map(info).collect(),
        complete_for_ms: i64::try_from(complete_for.as_millis()).unwrap_or(i64::MAX),
    }
}

fn info(key: &SigningKey) -> SigningKeyInfo {
    SigningKeyInfo { key_id: key.key_id().to_owned().into(), public_key: key.public_key().to_vec().into() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use common::clock::Clock;
    use idl::account::{AccountService, GetSigningKeysRequest, GetSigningKeysResponse};
    use serde_json::Value;

    use crate::{
        Account, Config,
        testing::{Service, config, public, refresh_on},
    };

    fn with_id_tokens() -> Config {
        let mut config = config();
        config.id_token.for_every_app = true;
        config
    }

    async fn published(account: &Account) -> GetSigningKeysResponse {
        public(account.get_signing_keys(GetSigningKeysRequest {}).await).expect("an answer")
    }

    /// What a verifier does with the published keys: header and claims of a token that is genuine.
    async fn verified(account: &Account, token: &str) -> Option<(String, Value)> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let decode = |part| URL_SAFE_NO_PAD.decode(part).expect("base64url");
        let json = |part| serde_json::from_slice::<Value>(&decode(part)).expect("JSON");
        let key_id = json(header)["kid"].as_str()?.to_owned();
        let keys = published(account).await.keys;
        let key = keys.iter().find(|key| key.key_id == key_id)?;
        let public_key = UnparsedPublicKey::new(&ED25519, &key.public_key);
        public_key.verify(signed.as_bytes(), &decode(signature)).ok()?;
        Some((key_id, json(claims)))
    }

    common::on_each_database! {
        async fn an_app_that_does_not_want_id_tokens_gets_none(database: TestDatabase) {
            let service = Service::start(database).await;
            assert_eq!(service.register("ann").await.expect("registered").tokens.id_token, None);
        }

        async fn every_sign_in_and_refresh_is_answered_a_token_that_the_published_keys_verify(database: TestDatabase) {
            let service = Service::start_with(database, with_id_tokens()).await;
            let registered = service.register("ann").await.expect("registered").tokens;
            let signed_in_at = service.clock.now();
            service.clock.advance(Duration::from_secs(90));
            let refreshed = service.refresh(&registered.refresh_token).await.expect("refreshed").tokens;
            for (tokens, issued_at) in [(registered, signed_in_at), (refreshed, service.clock.now())] {
                let (_, claims) =
                    verified(&service.account, &tokens.id_token.expect("an ID token")).await.expect("genuine");
                assert_eq!(claims["iss"], Config::default().id_token.issuer);
                assert_eq!(claims["sub"], tokens.account_id.to_string());
                assert_eq!(claims["aud"], service.app_id().to_string());
                assert_eq!(claims["sid"], tokens.session_id.as_str());
                assert_eq!(claims["auth_time"], signed_in_at.as_millis() / 1000, "of the sign-in");
                assert_eq!(claims["iat"], issued_at.as_millis() / 1000);
                assert_eq!(claims["exp"], tokens.access_expires_at / 1000, "lives as long as the access token");
            }
        }

        async fn a_lifetime_of_its_own_holds_and_does_not_outlive_the_session(database: TestDatabase) {
            let mut config = with_id_tokens();
            config.id_token.ttl = Some(Duration::from_secs(600));
            let service = Service::start_with(database, config.clone()).await;
            config.id_token.ttl = Some(config.tokens.refresh_ttl);
            config.tokens.refresh_ttl = Duration::from_secs(60);
            let short_sessions = service.replica_with(config).await;
            let now = service.clock.now().as_millis() / 1000;
            let registered = service.register("ann").await.expect("registered").tokens;
            let refreshed = refresh_on(&short_sessions, service.app_id(), &registered.refresh_token).await;
            for (tokens, lifetime) in [(registered, 600), (refreshed.expect("refreshed").tokens, 60)] {
                let (_, claims) =
                    verified(&service.account, &tokens.id_token.expect("an ID token")).await.expect("genuine");
                assert_eq!(claims["exp"], now + lifetime);
            }
        }

        async fn a_rotation_is_published_before_it_signs_and_leaves_living_tokens_verifiable(database: TestDatabase) {
            let config = with_id_tokens();
            let service = Service::start_with(database, config.clone()).await;
            let (account, pace) = (&service.account, config.id_token_pace());
            let parts = account.parts();
            let token = |login: idl::account::LoginResponse| login.tokens.id_token.expect("an ID token");
            let first = token(service.register("ann").await.expect("registered"));
            let rotated = service.admin().rotate_signing_key(&config).await.expect("rotated");
            parts.signing_keys.refresh(&*parts.clock).await.expect("read");
            assert_eq!(published(account).await.keys.len(), 2, "announced");
            let meanwhile = token(service.register("bob").await.expect("registered"));
            assert_ne!(verified(account, &meanwhile).await.expect("genuine").0, rotated.key_id);

            service.clock.advance(pace.announce);
            let second = token(service.register("cid").await.expect("registered"));
            assert_eq!(verified(account, &second).await.expect("genuine").0, rotated.key_id);
            for old in [&first, &meanwhile] {
                assert!(verified(account, old).await.is_some(), "the old key stays");
            }
            service.clock.advance(pace.announce + pace.longest_token);
            assert!(verified(account, &first).await.is_none(), "until its last token has expired");
            assert!(verified(account, &second).await.is_some());
        }

        async fn the_time_since_the_last_read_counts_against_how_long_the_answer_holds(database: TestDatabase) {
            let service = Service::start(database).await;
            let max_age = config().id_token.keys_max_age;
            let millis = |duration: Duration| i64::try_from(duration.as_millis()).expect("small");
            assert_eq!(published(&service.account).await.complete_for_ms, millis(max_age));
            service.clock.advance(Duration::from_secs(60));
            assert_eq!(published(&service.account).await.complete_for_ms, millis(max_age) - 60_000);
            service.database.close().await;
            service.clock.advance(max_age);
            let stale = published(&service.account).await;
            assert_eq!((stale.keys.len(), stale.complete_for_ms), (1, 0));
        }
    }
}
