//! `SendPhoneCode`: a code to a phone, whoever has it.

use idl::account::{PhoneCodeScene, SendPhoneCodeRequest, SendPhoneCodeResponse};

use super::client;
use crate::{
    domain::{field::FieldError, phone::PhoneNumber, phone_code::Scene, policy::LoginKind},
    error::AccountError,
    phone_codes,
    service::Parts,
    sign_in,
};

pub(crate) async fn send_phone_code(
    parts: &Parts,
    request: SendPhoneCodeRequest,
) -> Result<SendPhoneCodeResponse, AccountError> {
    let phone = PhoneNumber::parse(&request.phone)?;
    let scene = scene(request.scene)?;
    let client = client::parse(&request.client)?;
    parts.guard().admit(&client)?;
    let app = parts.apps.enabled(request.app_id).await?;
    sign_in::allow_kind(&app, LoginKind::Phone)?;
    let issued = phone_codes::issue(parts, app.app_id, &phone, scene, &client).await?;
    Ok(SendPhoneCodeResponse { expires_at: issued.expires_at.as_millis(), resend_at: issued.resend_at.as_millis() })
}

fn scene(scene: PhoneCodeScene) -> Result<Scene, FieldError> {
    match scene {
        PhoneCodeScene::LOGIN => Ok(Scene::Login),
        PhoneCodeScene::LINK => Ok(Scene::Link),
        PhoneCodeScene::PASSWORD_RESET => Ok(Scene::PasswordReset),
        // A caller of a later version.
        _ => Err(FieldError::new("scene", "must be login, link or password_reset")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use common::{
        clock::{Clock, Timestamp},
        error_code::ErrorCode,
    };
    use futures_util::future::join_all;
    use idl::account::{ClientInfo, PhoneCodeScene};

    use crate::{
        PhoneSender,
        store::cleanup,
        testing::{PHONE, Phones, Service, code, config, field},
    };

    const LOGIN: PhoneCodeScene = PhoneCodeScene::LOGIN;
    const HOME: &str = "192.0.2.1";
    const ELSEWHERE: &str = "198.51.100.7";
    const TRIES_LEFT: &str = "SELECT tries_left FROM account_phone_codes";
    const MINUTE: Duration = Duration::from_secs(60);

    fn on(device: impl Into<String>, address: impl Into<String>) -> ClientInfo {
        let (device_id, address) = (Some(device.into().into()), Some(address.into().into()));
        ClientInfo { device_id, address, ..ClientInfo::default() }
    }

    /// A guess that is not the code.
    fn other_than(code: &str) -> String {
        if code == "000000" { "000001".to_owned() } else { "000000".to_owned() }
    }

    common::on_each_database! {
        async fn a_code_is_sent_once_with_what_it_is_for(database: TestDatabase) {
            let phones = Phones::start().await;
            let service = Service::start_with(database, phones.config()).await;
            let now = service.clock.now();
            let sent = service.send_code(PHONE, LOGIN).await.expect("sent");
            assert_eq!((sent.expires_at, sent.resend_at), ((now + 5 * MINUTE).as_millis(), (now + MINUTE).as_millis()));
            let document = phones.document().await;
            assert_eq!((document["phone"].as_str(), document["scene"].as_str()), (Some(PHONE), Some("login")));
            assert_eq!(document["app_id"], service.app_id());
            assert_eq!(document["expires_at"], sent.expires_at);
            assert_eq!(document["code"].as_str().map(str::len), Some(6));
            assert_eq!(document["id"].as_str().map(str::len), Some(36));
        }

        async fn nothing_about_the_phone_or_the_code_is_stored_in_the_clear(database: TestDatabase) {
            let phones = Phones::start().await;
            let service = Service::start_with(database, phones.config()).await;
            service.sign_in_with(&phones, PHONE).await;
            for query in [
                "SELECT COUNT(*) FROM account_credentials WHERE name LIKE '%138%5678%' OR secret LIKE '%138%5678%' \
                 OR shown_name <> ''",
                "SELECT COUNT(*) FROM account_phone_codes WHERE phone LIKE '%138%5678%' OR LENGTH(code_digest) <> 32",
            ] {
                assert_eq!(service.count(query).await, 0, "{query}");
            }
        }

        async fn the_next_code_waits_for_its_time_and_replaces_the_one_before(database: TestDatabase) {
            let phones = Phones::start().await;
            let service = Service::start_with(database, phones.config()).await;
            service.send_code(PHONE, LOGIN).await.expect("sent");
            let first = phones.code().await;
            service.clock.advance(MINUTE - Duration::from_secs(1));
            let early = service.send_code(PHONE, LOGIN).await.expect_err("too early");
            assert_eq!((early.code, early.retry_after), (ErrorCode::RATE_LIMITED_SUBJECT, Some(Duration::from_secs(1))));
            // Another purpose has a time of its own.
            service.send_code(PHONE, PhoneCodeScene::LINK).await.expect("sent");
            phones.code().await;
            service.clock.advance(Duration::from_secs(1));
            service.send_code(PHONE, LOGIN).await.expect("sent");
            let second = phones.code().await;
            if first != second {
                assert_eq!(code(service.phone_login(PHONE, &first).await), ErrorCode::WRONG_CODE);
            }
            service.phone_login(PHONE, &second).await.expect("signed in");
        }

        async fn of_many_requests_at_once_one_sends_a_code(database: TestDatabase) {
            let phones = Phones::start().await;
            let service = Service::start_with(database, phones.config()).await;
            let attempts = join_all((0..4).map(|_| service.send_code(PHONE, LOGIN))).await;
            assert_eq!(attempts.iter().filter(|attempt| attempt.is_ok()).count(), 1);
            for refused in attempts.into_iter().filter(Result::is_err) {
                assert_eq!(code(refused), ErrorCode::RATE_LIMITED_SUBJECT);
            }
            phones.code().await;
            assert_eq!(phones.calls(), 1);
        }

        async fn of_many_right_guesses_at_once_one_counts(database: TestDatabase) {
            let phones = Phones::start().await;
            let service = Service::start_with(database, phones.config()).await;
            service.send_code(PHONE, LOGIN).await.expect("sent");
            let right = phones.code().await;
            let attempts = join_all((0..16).map(|_| service.phone_login(PHONE, &right))).await;
            assert_eq!(attempts.iter().filter(|attempt| attempt.is_ok()).count(), 1);
            for lost in attempts.into_iter().filter(Result::is_err) {
                assert_eq!(code(lost), ErrorCode::WRONG_CODE);
            }
            assert_eq!(service.count("SELECT COUNT(*) FROM account_sessions").await, 1);
        }

        async fn wrong_guesses_never_exceed_the_tries_however_many_come_at_once(database: TestDatabase) {
            let phones = Phones::start().await;
            let service = Service::start_with(database, phones.config()).await;
            service.send_code(PHONE, LOGIN).await.expect("sent");
            let right = phones.code().await;
            let wrong = other_than(&right);
            for _ in 0..4 {
                assert_eq!(code(service.phone_login(PHONE, &wrong).await), ErrorCode::WRONG_CODE);
            }
            let attempts = join_all((0..16).map(|_| service.phone_login(PHONE, &wrong))).await;
            assert!(attempts.iter().all(|attempt| attempt.as_ref().is_err_and(|e| e.code == ErrorCode::WRONG_CODE)));
            assert_eq!(service.count("SELECT tries_left FROM account_phone_codes").await, 15, "what is left to others");
            assert_eq!(code(service.phone_login(PHONE, &right).await), ErrorCode::WRONG_CODE);
        }

        async fn strangers_use_up_nothing_of_what_is_left_to_the_player(database: TestDatabase) {
            let phones = Phones::start().await;
            let service = Service::start_with(database, phones.config()).await;
            service.send_code_as(on("anns phone", HOME), PHONE, LOGIN).await.expect("sent");
            let right = phones.code().await;
            let wrong = other_than(&right);
            // All at once, on devices and in networks of their own.
            let strangers = (1..40).map(|n| on(format!("bot {n}"), format!("198.51.{n}.7")));
            let guesses = strangers.flat_map(|stranger| vec![stranger; 3]);
            let attempts = join_all(guesses.map(|stranger| service.phone_login_as(stranger, PHONE, &wrong))).await;
            assert!(attempts.iter().all(|attempt| attempt.as_ref().is_err_and(|e| e.code == ErrorCode::WRONG_CODE)));
            assert_eq!(service.count(TRIES_LEFT).await, 10, "ten of 117 were compared");
            let lucky = service.phone_login_as(on("bot", "203.0.113.7"), PHONE, &right).await;
            assert_eq!(code(lucky), ErrorCode::WRONG_CODE, "too late to be right");
            for _ in 0..4 {
                let typo = service.phone_login_as(on("anns phone", ELSEWHERE), PHONE, &wrong).await;
                assert_eq!(code(typo), ErrorCode::WRONG_CODE);
            }
            service.phone_login_as(on("anns phone", ELSEWHERE), PHONE, &right).await.expect("the fifth try");
        }

        async fn one_stranger_has_no_more_tries_than_the_player_however_many_come_at_once(database: TestDatabase) {
            let phones = Phones::start().await;
            let service = Service::start_with(database, phones.config()).await;
            service.send_code_as(on("anns phone", HOME), PHONE, LOGIN).await.expect("sent");
            let right = phones.code().await;
            let wrong = other_than(&right);
            let in_one_network = (0..16).map(|n| on(format!("bot {n}"), format!("198.51.100.{n}")));
            join_all(in_one_network.map(|client| service.phone_login_as(client, PHONE, &wrong))).await;
            assert_eq!(service.count(TRIES_LEFT).await, 15);
            let on_one_device = (0..16).map(|n| on("bot 99", format!("203.0.{n}.7")));
            join_all(on_one_device.map(|client| service.phone_login_as(client, PHONE, &wrong))).await;
            assert_eq!(service.count(TRIES_LEFT).await, 10);
            service.phone_login_as(on("anns phone", HOME), PHONE, &right).await.expect("the player's own tries");
        }

        async fn of_many_right_guesses_from_everywhere_at_once_one_counts(database: TestDatabase) {
            let phones = Phones::start().await;
            let service = Service::start_with(database, phones.config()).await;
            service.send_code_as(on("anns phone", HOME), PHONE, LOGIN).await.expect("sent");
            let right = phones.code().await;
            let everywhere = (0..12).map(|n| on(format!("tablet {n}"), format!("198.51.{n}.7")));
            let attempts = join_all(everywhere.map(|client| service.phone_login_as(client, PHONE, &right))).await;
            assert_eq!(attempts.iter().filter(|attempt| attempt.is_ok()).count(), 1);
        }

        async fn a_code_that_a_stranger_asked_for_is_good_on_a_device_that_the_account_knows(database: TestDatabase) {
            let phones = Phones::start().await;
            let service = Service::start_with(database, phones.config()).await;
            service.send_code_as(on("anns phone", HOME), PHONE, LOGIN).await.expect("sent");
            service.phone_login_as(on("anns phone", HOME), PHONE, &phones.code().await).await.expect("signed in");
            service.clock.advance(MINUTE);
            service.send_code_as(on("bot", ELSEWHERE), PHONE, LOGIN).await.expect("sent");
            let right = phones.code().await;
            let wrong = other_than(&right);
            for device in ["bot", "bot 1", "bot 2", "bot 3"] {
                for network in 0..8 {
                    let guess = service.phone_login_as(on(device, format!("203.0.{network}.7")), PHONE, &wrong).await;
                    assert_eq!(code(guess), ErrorCode::WRONG_CODE);
                }
            }
            assert_eq!(service.count(TRIES_LEFT).await, 5, "the player's");
            service.phone_login_as(on("anns phone", HOME), PHONE, &right).await.expect("signed in");
        }

        async fn strangers_do_not_use_up_the_codes_of_a_device_that_the_account_knows(database: TestDatabase) {
            let phones = Phones::start().await;
            let service = Service::start_with(database, phones.config()).await;
            service.send_code_as(on("anns phone", HOME), PHONE, LOGIN).await.expect("sent");
            service.phone_login_as(on("anns phone", HOME), PHONE, &phones.code().await).await.expect("signed in");
            let mut refused = 0;
            for n in 0..40 {
                service.clock.advance(12 * MINUTE);
                let stranger = on(format!("bot {n}"), format!("198.51.{n}.7"));
                match service.send_code_as(stranger, PHONE, LOGIN).await {
                    Ok(_) => drop(phones.code().await),
                    Err(error) => {
                        assert_eq!(error.code, ErrorCode::RATE_LIMITED_SUBJECT);
                        refused += 1;
                    }
                }
            }
            assert!(refused > 25, "the day is used up: {refused}");
            service.clock.advance(MINUTE);
            service.send_code_as(on("a new phone", HOME), PHONE, LOGIN).await.expect_err("used up");
            service.send_code_as(on("anns phone", HOME), PHONE, LOGIN).await.expect("kept for the player");
            service.phone_login_as(on("anns phone", HOME), PHONE, &phones.code().await).await.expect("signed in");
        }

        async fn the_last_try_is_still_good(database: TestDatabase) {
            let phones = Phones::start().await;
            let service = Service::start_with(database, phones.config()).await;
            service.send_code(PHONE, LOGIN).await.expect("sent");
            let right = phones.code().await;
            for _ in 0..4 {
                assert_eq!(code(service.phone_login(PHONE, &other_than(&right)).await), ErrorCode::WRONG_CODE);
            }
            // What can't be a code costs nothing.
            assert_eq!(code(service.phone_login(PHONE, "12345x").await), ErrorCode::WRONG_CODE);
            service.phone_login(PHONE, &right).await.expect("signed in");
        }

        async fn an_expired_code_and_one_for_something_else_are_wrong(database: TestDatabase) {
            let phones = Phones::start().await;
            let service = Service::start_with(database, phones.config()).await;
            assert_eq!(code(service.phone_login(PHONE, "123456").await), ErrorCode::WRONG_CODE);
            service.send_code(PHONE, PhoneCodeScene::LINK).await.expect("sent");
            let for_link = phones.code().await;
            assert_eq!(code(service.phone_login(PHONE, &for_link).await), ErrorCode::WRONG_CODE);
            service.send_code(PHONE, LOGIN).await.expect("sent");
            let right = phones.code().await;
            assert_eq!(code(service.phone_login("+8613812345679", &right).await), ErrorCode::WRONG_CODE);
            service.clock.advance(5 * MINUTE);
            assert_eq!(code(service.phone_login(PHONE, &right).await), ErrorCode::WRONG_CODE);
        }

        async fn a_phone_has_a_budget_however_patient_whoever_asks_is(database: TestDatabase) {
            let phones = Phones::start().await;
            let service = Service::start_with(database, phones.config()).await;
            for _ in 0..3 {
                service.send_code(PHONE, LOGIN).await.expect("sent");
                service.clock.advance(MINUTE);
            }
            let refused = service.send_code(PHONE, LOGIN).await.expect_err("used up");
            assert_eq!(refused.code, ErrorCode::RATE_LIMITED_SUBJECT);
            service.send_code("+8613812345679", LOGIN).await.expect("another phone");
        }

        async fn a_full_queue_says_so_at_once_and_makes_no_code(database: TestDatabase) {
            // Listens and never answers.
            let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let phones = Phones::start().await;
            let mut config = phones.config();
            config.phone.queue = std::num::NonZeroUsize::MIN;
            config.phone.webhook.url = Some(format!("http://{}/", silent.local_addr().expect("bound")));
            let service = Service::start_with(database, config).await;
            service.send_code(PHONE, LOGIN).await.expect("the first has room");
            let refused = service.send_code("+8613812345679", LOGIN).await.expect_err("no room");
            assert_eq!(refused.code, ErrorCode::OVERLOADED);
            assert!(refused.retry_after.is_some());
            assert_eq!(service.count("SELECT COUNT(*) FROM account_phone_codes").await, 1);
        }

        async fn codes_that_have_expired_are_cleared_away(database: TestDatabase) {
            let phones = Phones::start().await;
            let service = Service::start_with(database, phones.config()).await;
            service.send_code(PHONE, LOGIN).await.expect("sent");
            let sent_at = service.clock.now();
            let expires_at = sent_at + 5 * MINUTE;
            for (now, deleted) in [(Timestamp::from_millis(expires_at.as_millis() - 1), 0), (expires_at, 1)] {
                let mut tx = service.database.begin().await.expect("begun");
                assert_eq!(cleanup::Expired::PhoneCodes.delete(&mut tx, now, 10).await.expect("cleared"), deleted);
                tx.commit().await.expect("committed");
            }
        }

        async fn where_nobody_sends_codes_there_are_none(database: TestDatabase) {
            let mut config = config();
            config.phone.sender = Some(PhoneSender::None);
            let service = Service::start_with(database, config).await;
            assert_eq!(code(service.send_code(PHONE, LOGIN).await), ErrorCode::LOGIN_KIND_DISABLED);
        }

        async fn a_number_that_is_not_international_is_refused_by_name(database: TestDatabase) {
            let service = Service::start(database).await;
            let refused = field(service.send_code("13812345678", LOGIN).await);
            assert_eq!(refused, (ErrorCode::INVALID_ARGUMENT, "phone".to_owned()));
        }
    }
}
