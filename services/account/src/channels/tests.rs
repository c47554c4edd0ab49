//! Channels that rotate keys, fail, fall silent and come back.

use std::time::Duration;

use common::error_code::{ErrorCode, PublicError};
use futures_util::future::{Either, select};
use idl::account::LoginResponse;
use serde_json::json;

use super::ChannelsConfig;
use crate::testing::{ChannelServer, Issuer, Service, code, field};

/// Could not tell: with a time to come back, and never a wrong credential.
fn could_not_tell(answer: Result<LoginResponse, PublicError>) -> Duration {
    let error = answer.expect_err("not now");
    assert_eq!(error.code, ErrorCode::DEPENDENCY_UNAVAILABLE);
    error.retry_after.expect("a time to come back")
}

common::on_each_database! {
    async fn a_player_of_an_issuer_gets_an_account_once_and_the_keys_are_fetched_once(database: TestDatabase) {
        let service = Service::start(database).await;
        let issuer = Issuer::new("one");
        let server = ChannelServer::publishing(&[&issuer]).await;
        service.put_channel("taptap", &server.oidc()).await;
        let ann = issuer.credential(&service, "ann");
        let first = futures_util::future::join_all((0..4).map(|_| service.channel_login("taptap", &ann))).await;
        let first: Vec<_> = first.into_iter().map(|answer| answer.expect("signed in")).collect();
        assert_eq!(first.iter().filter(|answer| answer.is_new_account).count(), 1);
        let again = service.channel_login("taptap", &ann).await.expect("signed in");
        assert!(first.iter().chain([&again]).all(|answer| answer.tokens.account_id == again.tokens.account_id));
        let bob = service.channel_login("taptap", &issuer.credential(&service, "bob")).await.expect("signed in");
        assert_ne!(bob.tokens.account_id, again.tokens.account_id);
        assert_eq!(server.calls(), 1);
    }

    async fn one_uid_in_two_channels_is_two_players(database: TestDatabase) {
        let service = Service::start(database).await;
        let issuer = Issuer::new("one");
        let server = ChannelServer::publishing(&[&issuer]).await;
        for channel in ["taptap", "other"] {
            service.put_channel(channel, &server.oidc()).await;
        }
        let credential = issuer.credential(&service, "ann");
        let here = service.channel_login("taptap", &credential).await.expect("signed in");
        let there = service.channel_login("other", &credential).await.expect("signed in");
        assert_ne!(here.tokens.account_id, there.tokens.account_id);
    }

    async fn a_key_that_is_new_is_looked_for_before_its_tokens_are_judged(database: TestDatabase) {
        let service = Service::start(database).await;
        let config = ChannelsConfig::default();
        let (old, new, stranger) = (Issuer::new("old"), Issuer::new("new"), Issuer::new("stranger"));
        let server = ChannelServer::publishing(&[&old]).await;
        service.put_channel("taptap", &server.oidc()).await;
        service.channel_login("taptap", &old.credential(&service, "ann")).await.expect("signed in");
        server.publish(&[&old, &new]);
        // The issuer was asked a moment ago: nobody can tell yet whether the key is its own.
        service.clock.advance(Duration::from_secs(1));
        let wait = could_not_tell(service.channel_login("taptap", &new.credential(&service, "ann")).await);
        assert_eq!(wait, config.keys_refetch_after - Duration::from_secs(1));
        service.clock.advance(wait);
        service.channel_login("taptap", &new.credential(&service, "ann")).await.expect("signed in");
        assert_eq!(server.calls(), 2);
        service.clock.advance(config.keys_refetch_after);
        let forged = service.channel_login("taptap", &stranger.credential(&service, "ann")).await;
        assert_eq!(code(forged), ErrorCode::WRONG_CREDENTIALS);
        assert_eq!(server.calls(), 3);
        // Forged tokens don't reach the issuer any faster, and keep nobody out.
        service.clock.advance(Duration::from_secs(1));
        could_not_tell(service.channel_login("taptap", &stranger.credential(&service, "ann")).await);
        service.channel_login("taptap", &old.credential(&service, "ann")).await.expect("signed in");
        assert_eq!(server.calls(), 3);
    }

    async fn a_key_that_was_withdrawn_counts_until_the_keys_are_fetched_again(database: TestDatabase) {
        let service = Service::start(database).await;
        let (old, new) = (Issuer::new("old"), Issuer::new("new"));
        let server = ChannelServer::publishing(&[&old, &new]).await;
        service.put_channel("taptap", &server.oidc()).await;
        service.channel_login("taptap", &old.credential(&service, "ann")).await.expect("signed in");
        server.publish(&[&new]);
        service.clock.advance(ChannelsConfig::default().keys_fresh_max);
        service.channel_login("taptap", &new.credential(&service, "ann")).await.expect("signed in");
        service.clock.advance(ChannelsConfig::default().keys_refetch_after);
        let late = service.channel_login("taptap", &old.credential(&service, "ann")).await;
        assert_eq!(code(late), ErrorCode::WRONG_CREDENTIALS);
    }

    async fn while_the_issuer_is_away_its_keys_stay_in_use_up_to_a_bound(database: TestDatabase) {
        let service = Service::start(database).await;
        let config = ChannelsConfig::default();
        let issuer = Issuer::new("one");
        let server = ChannelServer::publishing(&[&issuer]).await;
        service.put_channel("taptap", &server.oidc()).await;
        let login = async || service.channel_login("taptap", &issuer.credential(&service, "ann")).await;
        login().await.expect("signed in");
        for answer in [json!({ "keys": [] }), json!("maintenance")] {
            server.answer(200, &answer);
            service.clock.advance(config.keys_fresh_max);
            login().await.expect("an answer without keys is not believed");
        }
        server.answer(500, &json!({}));
        service.clock.advance(config.keys_fresh_max);
        login().await.expect("the keys there are stay in use");
        service.clock.advance(config.keys_stale_max);
        could_not_tell(login().await);
        server.publish(&[&issuer]);
        service.clock.advance(config.keys_refetch_after);
        login().await.expect("signed in");
    }

    async fn no_more_tokens_wait_for_an_issuer_than_may_wait_for_a_channel(database: TestDatabase) {
        // Takes calls and never answers.
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let mut config = crate::testing::config();
        config.channels.concurrency = std::num::NonZeroUsize::MIN;
        let service = Service::start_with(database, config).await;
        let jwks_uri = format!("http://{}/jwks", silent.local_addr().expect("bound"));
        let rules = json!({
            "kind": "oidc", "issuer": "https://issuer.example", "jwks_uri": jwks_uri, "audiences": ["client"],
        });
        service.put_channel("taptap", &json!({ "login": rules })).await;
        let credential = Issuer::new("one").credential(&service, "ann");
        let mut waiting = Box::pin(service.channel_login("taptap", &credential));
        let accepted = Box::pin(silent.accept());
        let Either::Right((_asked, _)) = select(&mut waiting, accepted).await else { panic!("the first one waits") };
        let next = Box::pin(service.channel_login("taptap", &credential));
        let Either::Right((answer, _)) = select(waiting, next).await else { panic!("the next one does not wait") };
        could_not_tell(answer);
    }

    async fn a_channel_that_is_asked_says_yes_no_or_nothing(database: TestDatabase) {
        let service = Service::start(database).await;
        let server = ChannelServer::answering(200, &json!({ "code": 0, "uid": "u1" })).await;
        service.put_channel("uc", &server.signed_http()).await;
        let credential = json!({ "token": "t" });
        let first = service.channel_login("uc", &credential).await.expect("signed in");
        let again = service.channel_login("uc", &credential).await.expect("signed in");
        assert!(first.is_new_account && first.tokens.account_id == again.tokens.account_id);
        server.answer(200, &json!({ "code": 1 }));
        assert_eq!(code(service.channel_login("uc", &credential).await), ErrorCode::WRONG_CREDENTIALS);
        for (status, answer) in [(200, json!({ "code": 99 })), (200, json!({ "code": 0 })), (403, json!({})), (500, json!({ "code": 1 }))] {
            server.answer(status, &answer);
            could_not_tell(service.channel_login("uc", &credential).await);
        }
        let missing = service.channel_login("uc", &json!({ "uid": "u1" })).await;
        assert_eq!(field(missing), (ErrorCode::INVALID_ARGUMENT, "credential.token".to_owned()));
    }

    async fn a_channel_that_fails_again_and_again_is_left_alone_and_the_others_go_on(database: TestDatabase) {
        let service = Service::start(database).await;
        let config = ChannelsConfig::default();
        let (broken, fine) = (
            ChannelServer::answering(500, &json!({})).await,
            ChannelServer::answering(200, &json!({ "code": 0, "uid": "u1" })).await,
        );
        service.put_channel("broken", &broken.signed_http()).await;
        service.put_channel("fine", &fine.signed_http()).await;
        let credential = json!({ "token": "t" });
        for _ in 0..config.breaker_failures.get() + 3 {
            could_not_tell(service.channel_login("broken", &credential).await);
        }
        assert_eq!(broken.calls(), config.breaker_failures.get() as usize);
        service.channel_login("fine", &credential).await.expect("signed in");
        broken.answer(200, &json!({ "code": 0, "uid": "u1" }));
        assert_eq!(could_not_tell(service.channel_login("broken", &credential).await), config.breaker_pause);
        service.clock.advance(config.breaker_pause);
        service.channel_login("broken", &credential).await.expect("signed in");
    }

    async fn answers_that_say_nothing_do_not_count_as_failures(database: TestDatabase) {
        let service = Service::start(database).await;
        let server = ChannelServer::answering(400, &json!("what a strange token")).await;
        service.put_channel("uc", &server.signed_http()).await;
        for _ in 0..10 {
            could_not_tell(service.channel_login("uc", &json!({ "token": "t" })).await);
        }
        server.answer(200, &json!({ "code": 0, "uid": "u1" }));
        service.channel_login("uc", &json!({ "token": "t" })).await.expect("one player's tokens keep nobody else out");
    }

    async fn a_channel_that_is_nowhere_to_be_reached_could_not_tell(database: TestDatabase) {
        let service = Service::start(database).await;
        let server = ChannelServer::answering(200, &json!({})).await;
        let (asked, signed) = (server.signed_http(), server.oidc());
        drop(server);
        service.put_channel("asked", &asked).await;
        service.put_channel("signed", &signed).await;
        could_not_tell(service.channel_login("asked", &json!({ "token": "t" })).await);
        let credential = Issuer::new("one").credential(&service, "ann");
        could_not_tell(service.channel_login("signed", &credential).await);
    }

    async fn a_new_channel_is_found_at_once_and_a_changed_one_with_the_next_read(database: TestDatabase) {
        let service = Service::start(database).await;
        let server = ChannelServer::answering(200, &json!({ "code": 0, "uid": "u1" })).await;
        let other = service.replica().await;
        service.put_channel("uc", &server.signed_http()).await;
        let login = |account: &crate::Account| {
            let (account, app_id) = (account.clone(), service.app_id());
            async move {
                let proof = crate::testing::channel_proof("uc", &json!({ "token": "t" }));
                let name = super::ChannelName::parse(&proof.channel).expect("valid");
                let credential = super::ChannelCredential::parse(&proof.credential_json).expect("flat");
                let app_id = super::AppId::parse(app_id).expect("valid");
                account.parts().channels.verify(app_id, &name, &credential).await
            }
        };
        login(&other).await.expect("found at once");
        service.put_channel("uc", &json!({ "login": null })).await;
        login(&other).await.expect("known until it is read again");
        other.parts().channels.refresh().await.expect("read");
        assert!(matches!(login(&other).await, Err(super::AccountError::Field(field)) if field.field == "channel"));
    }
}
