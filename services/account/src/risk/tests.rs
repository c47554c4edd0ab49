//! The rules together, as callers meet them. Time is moved by hand.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use common::{
    clock::Clock,
    config::{Environment, watch::ConfigWatch},
    error_code::{ErrorCode, PublicError},
    shared::{Climb, Decision, Ladder, Lease, Rate, Rung, SharedError, SharedState, Standing},
};
use futures_util::future::{BoxFuture, FutureExt, join_all, ready};
use idl::account::{
    AccountService, ChangePasswordRequest, ClientInfo, DeviceLink, LinkProof, LinkRequest, LoginRequest,
    PhoneCodeScene, RefreshRequest, RegisterRequest, SendPhoneCodeRequest, TokenSet, TokenStatus,
};
use idl::account_admin::UnlockAccountRequest;

use crate::{
    Config, RiskDocument,
    testing::{PASSWORD, PHONE, Service, code, config, device_proof, public},
};

const MINUTE: Duration = Duration::from_secs(60);
const HOME: &str = "192.0.2.1";
const ELSEWHERE: &str = "198.51.100.7";
const WRONG: &str = "wrong";

/// A device at an address; without a name it says nothing of itself.
fn at(address: &str, device: &str) -> ClientInfo {
    let device_id = (!device.is_empty()).then(|| device.to_owned().into());
    ClientInfo { device_id, address: Some(address.to_owned().into()), ..ClientInfo::default() }
}

fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("positive")
}

impl Service {
    async fn fails(&self, times: usize, client: &ClientInfo, username: &str) {
        for _ in 0..times {
            let answer = self.login_as(client.clone(), username, WRONG).await;
            assert_eq!(code(answer), ErrorCode::WRONG_CREDENTIALS, "{username}");
        }
    }

    /// The time left; also with the right password.
    async fn is_locked(&self, client: &ClientInfo, username: &str) -> Duration {
        let refusal = self.login_as(client.clone(), username, PASSWORD).await.expect_err("locked");
        assert_eq!(refusal.code, ErrorCode::TOO_MANY_FAILED_LOGINS, "{username}");
        refusal.retry_after.expect("the time left")
    }

    async fn signs_in(&self, client: &ClientInfo, username: &str) {
        self.login_as(client.clone(), username, PASSWORD).await.expect("signed in");
    }

    async fn registers(&self, client: &ClientInfo, username: &str) -> Result<(), PublicError> {
        let request = RegisterRequest { client: client.clone(), ..self.register_request(username, PASSWORD) };
        public(self.account.register(request).await).map(drop)
    }

    async fn asks_for_a_code(&self, client: &ClientInfo) -> Result<(), PublicError> {
        let (app_id, phone, client) = (self.app_id(), PHONE.into(), client.clone());
        let request = SendPhoneCodeRequest { app_id, phone, scene: PhoneCodeScene::LOGIN, client };
        public(self.account.send_phone_code(request).await).map(drop)
    }

    /// What comes of everything that whoever has the tokens can change with them.
    async fn goes_on(&self, tokens: &TokenSet, client: &ClientInfo) -> [ErrorCode; 3] {
        let (access_token, client) = (tokens.access_token.clone(), Some(client.clone()));
        let device = DeviceLink { device_id: "laptop".into(), new_device_secret: None };
        let link = LinkRequest {
            access_token: access_token.clone(),
            proof: LinkProof::Device(device),
            client: client.clone(),
        };
        let change = ChangePasswordRequest {
            access_token,
            old_password: Some(PASSWORD.into()),
            new_password: "battery staple".into(),
            client: client.clone(),
            phone: None,
        };
        let refresh = RefreshRequest { app_id: self.app_id(), refresh_token: tokens.refresh_token.clone(), client };
        [
            code(public(self.account.link(link).await)),
            code(public(self.account.change_password(change).await)),
            code(public(self.account.refresh(refresh).await)),
        ]
    }

    async fn comes_as_device(
        &self,
        client: &ClientInfo,
        device: &str,
        secret: Option<&str>,
    ) -> Result<Option<String>, PublicError> {
        let (app_id, proof, client) = (self.app_id(), device_proof(device, secret), client.clone());
        let answer =
            public(self.account.login(LoginRequest { app_id, proof, client, ..LoginRequest::default() }).await)?;
        Ok(answer.device_secret.map(|secret| secret.to_string()))
    }
}

/// With nothing but the ladder of accounts.
fn only_accounts() -> Config {
    let mut config = config();
    (config.risk.device_ladder, config.risk.address_ladder) = (Vec::new(), Vec::new());
    config
}

/// With nothing but a ladder of addresses that locks after three failures.
fn only_addresses() -> Config {
    let mut config = only_accounts();
    config.risk.account_ladder.clear();
    config.risk.address_ladder.push(Rung { failures: 3, wait: MINUTE });
    config
}

/// A shared state that is away and stays away.
#[derive(Debug)]
struct Away;

impl Away {
    fn answer<T: Send + 'static>() -> BoxFuture<'static, Result<T, SharedError>> {
        ready(Err(SharedError::Unavailable("away".to_owned()))).boxed()
    }
}

impl SharedState for Away {
    fn set_if_absent<'a>(&'a self, _: &'a str, _: Duration) -> BoxFuture<'a, Result<bool, SharedError>> {
        Self::answer()
    }

    fn remove_key<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), SharedError>> {
        Self::answer()
    }

    fn increment<'a>(&'a self, _: &'a str, _: u64, _: Duration) -> BoxFuture<'a, Result<u64, SharedError>> {
        Self::answer()
    }

    fn counter<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<u64, SharedError>> {
        Self::answer()
    }

    fn reset_counter<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), SharedError>> {
        Self::answer()
    }

    fn gcra<'a>(&'a self, _: &'a str, _: &'a Rate, _: u32) -> BoxFuture<'a, Result<Decision, SharedError>> {
        Self::answer()
    }

    fn lease<'a>(&'a self, _: &'a str, _: &'a Rate, _: NonZeroU32) -> BoxFuture<'a, Result<Lease, SharedError>> {
        Self::answer()
    }

    fn give_back<'a>(&'a self, _: &'a str, _: &'a Rate, _: NonZeroU32) -> BoxFuture<'a, Result<(), SharedError>> {
        Self::answer()
    }

    fn standing<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Standing, SharedError>> {
        Self::answer()
    }

    fn climb<'a>(&'a self, _: &'a str, _: &'a Ladder) -> BoxFuture<'a, Result<Climb, SharedError>> {
        Self::answer()
    }

    fn forgive<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Duration>, SharedError>> {
        Self::answer()
    }

    fn unlock<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Standing, SharedError>> {
        Self::answer()
    }
}

common::on_each_database! {
    async fn each_rung_locks_for_its_time_and_not_a_moment_longer(database: TestDatabase) {
        let service = Service::start_with(database, only_accounts()).await;
        service.register("ann").await.expect("registered");
        let stranger = at(ELSEWHERE, "");
        for failures in 1..=26 {
            service.fails(1, &stranger, "ann").await;
            let minutes = match failures {
                ..7 => continue,
                7..10 => 1,
                10..15 => 10,
                15..20 => 15,
                20..25 => 60,
                _ => 24 * 60,
            };
            assert_eq!(service.is_locked(&stranger, "ann").await, MINUTE * minutes, "after {failures}");
            service.clock.advance(MINUTE * minutes - Duration::from_millis(1));
            assert_eq!(service.is_locked(&stranger, "ann").await, Duration::from_millis(1), "after {failures}");
            service.clock.advance(Duration::from_millis(1));
        }
        service.signs_in(&stranger, "ann").await;
    }

    async fn a_success_ends_the_row_of_the_account_and_of_the_device(database: TestDatabase) {
        let service = Service::start(database).await;
        service.register("ann").await.expect("registered");
        let tablet = at(HOME, "tablet");
        for _ in 0..4 {
            service.fails(6, &tablet, "ann").await;
            service.signs_in(&tablet, "ann").await;
        }
        service.fails(6, &at(HOME, "tablet"), "bob").await;
        service.signs_in(&tablet, "ann").await;
        service.fails(1, &tablet, "cid").await;
        service.signs_in(&tablet, "ann").await;
    }

    async fn a_name_that_nobody_has_is_answered_like_one_that_somebody_has(database: TestDatabase) {
        let service = Service::start_with(database, only_accounts()).await;
        service.register("ann").await.expect("registered");
        let stranger = at(ELSEWHERE, "laptop");
        for _ in 0..11 {
            let taken = service.login_as(stranger.clone(), "ann", WRONG).await.expect_err("refused");
            let free = service.login_as(stranger.clone(), "nobody", WRONG).await.expect_err("refused");
            assert_eq!(taken, free);
            service.clock.advance(taken.retry_after.unwrap_or_default());
        }
        assert!(service.is_locked(&stranger, "ＮＯＢＯＤＹ").await > Duration::ZERO, "however it is written");
    }

    async fn a_stranger_locks_strangers_out_and_never_the_player(database: TestDatabase) {
        let service = Service::start(database).await;
        let (phone, stranger) = (at(HOME, "phone"), at(ELSEWHERE, "laptop"));
        service.registers(&phone, "ann").await.expect("registered");
        service.fails(7, &stranger, "ann").await;
        service.is_locked(&stranger, "ann").await;
        service.is_locked(&at(HOME, "new phone"), "ann").await;
        // At home, on the road, and at the very place of the stranger.
        for address in [HOME, "203.0.113.1", ELSEWHERE] {
            service.signs_in(&at(address, "phone"), "ann").await;
        }
        assert_eq!(service.is_locked(&stranger, "ann").await, MINUTE, "the player's success is not the stranger's");
    }

    async fn a_known_device_answers_for_its_own_failures_only(database: TestDatabase) {
        let service = Service::start(database).await;
        let (phone, tablet, stranger) = (at(HOME, "phone"), at(HOME, "tablet"), at(ELSEWHERE, "laptop"));
        service.registers(&phone, "ann").await.expect("registered");
        service.signs_in(&tablet, "ann").await;
        service.fails(7, &phone, "ann").await;
        assert_eq!(service.is_locked(&phone, "ann").await, MINUTE);
        service.signs_in(&tablet, "ann").await;
        service.signs_in(&stranger, "ann").await;
        assert_eq!(service.is_locked(&phone, "ann").await, MINUTE);
        service.clock.advance(MINUTE);
        service.signs_in(&phone, "ann").await;
    }

    async fn past_a_lock_a_known_device_still_has_its_own_ladder(database: TestDatabase) {
        let service = Service::start(database).await;
        let phone = at(HOME, "phone");
        service.registers(&phone, "ann").await.expect("registered");
        service.fails(7, &at(ELSEWHERE, "laptop"), "ann").await;
        service.fails(7, &phone, "ann").await;
        service.is_locked(&phone, "ann").await;
    }

    async fn of_a_burst_no_more_is_judged_than_the_ladder_allows(database: TestDatabase) {
        let mut config = only_accounts();
        config.hash_pool.queue = std::num::NonZeroUsize::new(100).expect("positive");
        let service = Service::start_with(database, config).await;
        service.register("ann").await.expect("registered");
        let stranger = at(ELSEWHERE, "");
        // The right guess comes last, after many have failed: it must not stand out.
        let guesses = (0..40).map(|_| WRONG).chain([PASSWORD]);
        let answers = join_all(guesses.map(|guess| service.login_as(stranger.clone(), "ann", guess))).await;
        let codes: Vec<_> = answers.into_iter().map(code).collect();
        assert_eq!(codes.iter().filter(|code| **code == ErrorCode::WRONG_CREDENTIALS).count(), 7, "{codes:?}");
        assert_eq!(codes.iter().filter(|code| **code == ErrorCode::TOO_MANY_FAILED_LOGINS).count(), 34, "{codes:?}");
    }

    async fn an_attempt_that_was_not_judged_is_no_failure(database: TestDatabase) {
        let mut config = only_accounts();
        config.hash_pool.queue = std::num::NonZeroUsize::MIN;
        config.hash_pool.memory_kib = 19_456;
        let service = Service::start_with(database, config).await;
        service.register("ann").await.expect("registered");
        let stranger = at(ELSEWHERE, "");
        let attempts = join_all((0..32).map(|_| service.login_as(stranger.clone(), "ann", PASSWORD))).await;
        assert!(attempts.iter().filter(|attempt| attempt.is_err()).count() > 7, "the pool was full");
        service.signs_in(&stranger, "ann").await;
    }

    async fn a_device_that_goes_through_names_is_stopped_except_at_home(database: TestDatabase) {
        let mut config = config();
        config.risk.address_ladder.clear();
        let service = Service::start_with(database, config).await;
        let laptop = at(ELSEWHERE, "laptop");
        service.registers(&laptop, "mallory").await.expect("registered");
        service.register("ann").await.expect("registered");
        for name in 0..7 {
            service.fails(1, &laptop, &format!("player{name}")).await;
        }
        assert_eq!(service.is_locked(&laptop, "ann").await, MINUTE);
        service.signs_in(&at(ELSEWHERE, "another"), "ann").await;
        service.signs_in(&laptop, "mallory").await;
    }

    async fn an_address_that_fails_often_is_stopped_and_no_other_address_is(database: TestDatabase) {
        let service = Service::start_with(database, only_addresses()).await;
        let phone = at(HOME, "phone");
        service.registers(&phone, "ann").await.expect("registered");
        let bot = |host| at(&format!("2001:db8:1:2::{host}"), "");
        for host in 1..=3 {
            service.fails(1, &bot(host), &format!("player{host}")).await;
        }
        assert_eq!(service.is_locked(&bot(9), "ann").await, MINUTE, "one customer has 2^64 addresses");
        service.signs_in(&at("2001:db8:1:3::1", ""), "ann").await;
        service.signs_in(&at("2001:db8:1:2::9", "phone"), "ann").await;
        service.clock.advance(Config::default().risk.address_window);
        service.fails(2, &bot(1), "ann").await;
        service.signs_in(&bot(1), "ann").await;
        service.fails(1, &bot(1), "ann").await;
        service.is_locked(&bot(1), "ann").await;
    }

    async fn in_development_and_only_there_this_machine_is_no_address(database: TestDatabase) {
        let mut service = Service::start_with(database, only_addresses()).await;
        service.register("ann").await.expect("registered");
        for address in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            service.fails(5, &at(address, ""), "bob").await;
        }
        service.restart_with(only_addresses(), |resources| crate::Resources {
            environment: Environment::Production,
            ..resources
        }).await;
        service.fails(3, &at("127.0.0.1", ""), "bob").await;
        service.is_locked(&at("127.0.0.1", ""), "ann").await;
    }

    async fn an_address_that_tries_a_list_of_names_may_only_sign_in_known_devices(database: TestDatabase) {
        let mut config = only_accounts();
        config.risk.stuffing_usernames = number(5);
        let service = Service::start_with(database, config).await;
        let phone = at(ELSEWHERE, "phone");
        service.registers(&phone, "ann").await.expect("registered");
        let bot = at(ELSEWHERE, "");
        for name in ["one", "two", "three", "four"] {
            service.fails(3, &bot, name).await;
        }
        service.signs_in(&bot, "ann").await;
        service.fails(1, &bot, "five").await;
        let refusal = service.login_as(bot.clone(), "ann", PASSWORD).await.expect_err("restricted");
        assert_eq!(refusal.code, ErrorCode::RATE_LIMITED_ADDRESS);
        assert_eq!(refusal.retry_after, Some(Config::default().risk.stuffing_restricts_for));
        service.signs_in(&phone, "ann").await;
        service.signs_in(&at(HOME, ""), "ann").await;
        service.clock.advance(Config::default().risk.stuffing_restricts_for);
        service.signs_in(&bot, "ann").await;
    }

    async fn new_accounts_have_a_budget_per_address_and_per_device(database: TestDatabase) {
        let mut config = config();
        config.risk.registrations_per_address = number(3);
        config.risk.registrations_per_device = number(2);
        let service = Service::start_with(database, config).await;
        service.registers(&at(HOME, "phone"), "ann").await.expect("registered");
        service.comes_as_device(&at(HOME, ""), "tablet", None).await.expect("a guest");
        service.registers(&at(HOME, ""), "bob").await.expect("registered");
        let refusal = service.registers(&at(HOME, ""), "cid").await.expect_err("over the budget");
        assert_eq!(refusal.code, ErrorCode::RATE_LIMITED_ADDRESS);
        assert_eq!(refusal.retry_after, Some(MINUTE * 20));
        assert_eq!(code(guest(&service, HOME, "third").await), ErrorCode::RATE_LIMITED_ADDRESS);
        // Who has an account already is not concerned.
        service.signs_in(&at(HOME, ""), "ann").await;

        service.registers(&at(ELSEWHERE, "phone"), "dan").await.expect("registered");
        let refusal = service.registers(&at(ELSEWHERE, "phone"), "eve").await.expect_err("over the budget");
        assert_eq!(refusal.code, ErrorCode::RATE_LIMITED_SUBJECT);
        service.clock.advance(refusal.retry_after.expect("a hint"));
        service.registers(&at(ELSEWHERE, "phone"), "eve").await.expect("the budget came back");
    }

    async fn a_wrong_device_secret_is_slowed_down_and_the_right_one_never(database: TestDatabase) {
        let service = Service::start(database).await;
        let (home, elsewhere) = (at(HOME, ""), at(ELSEWHERE, ""));
        let secret = service.comes_as_device(&home, "phone", None).await.expect("a guest");
        for secret in [None, Some(WRONG), None, Some(WRONG), None, Some(WRONG), None] {
            let answer = service.comes_as_device(&elsewhere, "phone", secret).await;
            assert_eq!(code(answer), ErrorCode::WRONG_CREDENTIALS);
        }
        let refusal = service.comes_as_device(&elsewhere, "phone", Some(WRONG)).await.expect_err("locked");
        assert_eq!((refusal.code, refusal.retry_after), (ErrorCode::TOO_MANY_FAILED_LOGINS, Some(MINUTE)));
        service.comes_as_device(&elsewhere, "phone", secret.as_deref()).await.expect("signed in");
    }

    async fn who_is_on_the_block_list_gets_in_by_no_door(database: TestDatabase) {
        let list = "[blocked]\naddresses = ['198.51.100.0/24']\ndevices = ['emulator']";
        let document: RiskDocument = toml::from_str(list).expect("a good document");
        let watch = ConfigWatch::fixed(document);
        let mut service = Service::start(database).await;
        let ann = service.register("ann").await.expect("registered").tokens;
        let emulated = service.login_as(at(HOME, "emulator"), "ann", PASSWORD).await.expect("not blocked yet").tokens;
        service.restart_with(config(), |resources| crate::Resources { risk_documents: watch, ..resources }).await;
        for blocked in [at(ELSEWHERE, ""), at(HOME, "emulator")] {
            let login = service.login_as(blocked.clone(), "ann", PASSWORD).await;
            assert_eq!(code(login), ErrorCode::FORBIDDEN, "{blocked:?}");
            assert_eq!(code(service.registers(&blocked, "bob").await), ErrorCode::FORBIDDEN, "{blocked:?}");
            assert_eq!(code(service.asks_for_a_code(&blocked).await), ErrorCode::FORBIDDEN, "{blocked:?}");
        }
        // Who is signed in already: the address is where they are now, the device the one that the session began on.
        for (tokens, place) in [(&ann, ELSEWHERE), (&emulated, HOME)] {
            for refused in service.goes_on(tokens, &at(place, "")).await {
                assert_eq!(refused, ErrorCode::FORBIDDEN, "{place}");
            }
            assert_eq!(service.status(&tokens.access_token).await, TokenStatus::VALID, "{place}");
        }
        service.refresh(&ann.refresh_token).await.expect("a session is not ended by a place where it is refused");
        assert_eq!(code(guest(&service, ELSEWHERE, "phone").await), ErrorCode::FORBIDDEN);
        assert_eq!(code(guest(&service, HOME, "emulator").await), ErrorCode::FORBIDDEN);
        service.signs_in(&at(HOME, "phone"), "ann").await;
    }

    async fn a_shared_state_that_cannot_be_asked_refuses_nobody(database: TestDatabase) {
        let mut service = Service::start(database).await;
        service.restart_with(config(), |resources| crate::Resources { shared: Arc::new(Away), ..resources }).await;
        let phone = at(HOME, "phone");
        service.registers(&phone, "ann").await.expect("registered");
        service.fails(30, &at(HOME, "laptop"), "ann").await;
        service.signs_in(&at(HOME, "laptop"), "ann").await;
        let secret = service.comes_as_device(&phone, "tablet", None).await.expect("a guest");
        assert_eq!(code(guest(&service, HOME, "tablet").await), ErrorCode::WRONG_CREDENTIALS);
        service.comes_as_device(&phone, "tablet", secret.as_deref()).await.expect("signed in");
    }

    async fn replicas_that_share_a_state_share_its_locks(database: TestDatabase) {
        let mut service = Service::start(database).await;
        let bounds = common::shared::SharedConfig::default();
        let shared = Arc::new(common::shared::MemoryState::new(bounds, service.clock.clone()));
        let sharing = |resources| crate::Resources { shared: shared.clone(), ..resources };
        service.restart_with(config(), sharing).await;
        service.register("ann").await.expect("registered");
        service.fails(7, &at(ELSEWHERE, ""), "ann").await;
        let before = service.clock.now();
        service.restart_with(config(), sharing).await;
        assert_eq!(service.is_locked(&at(ELSEWHERE, ""), "ann").await, MINUTE);
        assert_eq!(service.clock.now(), before);
    }

    async fn no_lock_is_said_to_be_lifted_while_the_shared_state_is_away(database: TestDatabase) {
        let mut service = Service::start(database).await;
        let ann = service.register("ann").await.expect("registered").tokens.account_id;
        service.restart_with(config(), |resources| crate::Resources { shared: Arc::new(Away), ..resources }).await;
        let request =
            UnlockAccountRequest { actor: "operator".into(), account_id: ann, reason: "ticket 7".into() };
        let refused = public(service.account.admin_unlock_account(request).await).expect_err("away");
        assert_eq!(refused.code, ErrorCode::DEPENDENCY_UNAVAILABLE);
        assert!(refused.retry_after.is_some());
        let actions: Vec<_> = service.audit().await.into_iter().map(|record| record.action).collect();
        assert_eq!(actions, ["app.create"], "what was not done is not recorded");
    }
}

async fn guest(service: &Service, address: &str, device: &str) -> Result<Option<String>, PublicError> {
    service.comes_as_device(&at(address, ""), device, None).await
}
