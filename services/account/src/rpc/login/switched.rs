//! Sign-ins of which an operator has switched some off.

use std::time::Duration;

use common::error_code::{ErrorCode, PublicError};
use idl::{
    account::{
        AccountService, ClientInfo, DeviceLogin, LoginProof, LoginRequest, LoginResponse, PasswordLogin,
        PhoneCodeScene, PhoneProof, RegisterRequest, TokenStatus,
    },
    common::{Maintenance, SignInSwitches},
};

use super::Standing;
use crate::testing::{PASSWORD, PHONE, Phones, Service, code, device_proof, public};

const MESSAGE: &str = "back at ten";

fn maintenance(allowed_accounts: Vec<i64>) -> SignInSwitches {
    let maintenance = Maintenance { message: MESSAGE.into(), until: None, allowed_accounts };
    SignInSwitches { maintenance: Some(maintenance), ..SignInSwitches::default() }
}

fn password(username: &str, password: &str) -> LoginProof {
    let (username, password) = (username.to_owned().into(), password.to_owned().into());
    LoginProof::Password(PasswordLogin { username, password })
}

impl Service {
    async fn switched(&self, proof: LoginProof, switches: &SignInSwitches) -> Result<LoginResponse, PublicError> {
        let client = ClientInfo { device_id: Some("device-1".into()), ..ClientInfo::default() };
        let (app_id, switches) = (self.app_id(), Some(switches.clone()));
        public(self.account.login(LoginRequest { app_id, proof, client, cancel_deletion: None, switches }).await)
    }
}

common::on_each_database! {
    async fn in_maintenance_those_on_the_list_get_in_and_everybody_else_is_told_one_thing(database: TestDatabase) {
        let service = Service::start(database).await;
        let ann = service.register("ann").await.expect("registered").tokens;
        service.register("bob").await.expect("registered");
        let switches = maintenance(vec![ann.account_id]);
        let signed_in = service.switched(password("ann", PASSWORD), &switches).await.expect("on the list");
        assert_eq!(signed_in.tokens.account_id, ann.account_id);
        let mut told = Vec::new();
        for (username, secret) in [("ann", "wrong"), ("bob", PASSWORD), ("bob", "wrong"), ("nobody", PASSWORD)] {
            told.push(service.switched(password(username, secret), &switches).await.expect_err("refused"));
        }
        assert_eq!((told[0].code, &*told[0].message), (ErrorCode::MAINTENANCE, MESSAGE));
        assert!(told.iter().all(|other| *other == told[0]), "{told:?}");
        let request = service.register_request("carl", PASSWORD);
        let registering = service.account.register(RegisterRequest { switches: Some(switches), ..request }).await;
        assert_eq!(public(registering).expect_err("refused"), told[0]);
        assert_eq!(service.count("SELECT COUNT(*) FROM account_accounts").await, 2);
    }

    async fn no_hash_is_computed_for_whoever_can_not_be_on_the_list(database: TestDatabase) {
        let service = Service::start(database).await;
        let ann = service.register("ann").await.expect("registered").tokens;
        service.register("bob").await.expect("registered");
        let pool = &service.account.parts().hash_pool;
        let served = || pool.served(Standing::KnownDevice) + pool.served(Standing::Stranger);
        let before = served();
        for username in ["bob", "nobody"] {
            let refused = service.switched(password(username, PASSWORD), &maintenance(vec![ann.account_id])).await;
            assert_eq!(code(refused), ErrorCode::MAINTENANCE);
        }
        assert_eq!(served(), before);
    }

    async fn a_lock_tells_nobody_that_an_account_is_on_the_list(database: TestDatabase) {
        let service = Service::start(database).await;
        let ann = service.register("ann").await.expect("registered").tokens;
        let switches = maintenance(vec![ann.account_id]);
        for attempt in 0..50 {
            let refused = service.switched(password("ann", "wrong"), &switches).await;
            assert_eq!(code(refused), ErrorCode::MAINTENANCE, "{attempt}");
        }
        let locked = service.switched(password("ann", PASSWORD), &SignInSwitches::default()).await;
        assert_eq!(code(locked), ErrorCode::TOO_MANY_FAILED_LOGINS, "the failures were counted all the same");
    }

    async fn a_device_that_was_never_seen_gets_no_account_and_a_known_one_needs_the_list_and_its_secret(database: TestDatabase) {
        let service = Service::start(database).await;
        let guest = service.device_login("phone", None).await.expect("a guest");
        let secret = guest.device_secret.expect("answered once");
        let switches = maintenance(vec![guest.tokens.account_id]);
        service.switched(device_proof("phone", Some(&secret)), &switches).await.expect("on the list");
        let offered = "5d41402abc4b2a76b9719d911017c592e3b0c44298fc1c149afbf4c8996fb924".into();
        let offering =
            DeviceLogin { device_id: "third".into(), device_secret: None, new_device_secret: Some(offered) };
        for refused in [
            device_proof("phone", Some("wrong")),
            device_proof("phone", None),
            device_proof("another", None),
            device_proof("another", Some(&secret)),
            LoginProof::Device(offering),
        ] {
            assert_eq!(code(service.switched(refused, &switches).await), ErrorCode::MAINTENANCE);
        }
        assert_eq!(code(service.switched(device_proof("phone", Some(&secret)), &maintenance(vec![1])).await), ErrorCode::MAINTENANCE);
        assert_eq!(service.count("SELECT COUNT(*) FROM account_accounts").await, 1);
    }

    async fn a_phone_code_outlasts_a_maintenance_that_its_owner_is_kept_out_by(database: TestDatabase) {
        let phones = Phones::start().await;
        let service = Service::start_with(database, phones.config()).await;
        let first = service.sign_in_with(&phones, PHONE).await.tokens;
        service.clock.advance(Duration::from_secs(60));
        service.send_code(PHONE, PhoneCodeScene::LOGIN).await.expect("sent");
        let sent = phones.code().await;
        let proof = |code: &str| LoginProof::Phone(PhoneProof { phone: PHONE.into(), code: code.to_owned().into() });
        assert_eq!(code(service.switched(proof(&sent), &maintenance(vec![1])).await), ErrorCode::MAINTENANCE);
        let wrong = if sent == "000000" { "000001" } else { "000000" };
        let allowed = maintenance(vec![first.account_id]);
        assert_eq!(code(service.switched(proof(wrong), &allowed).await), ErrorCode::MAINTENANCE);
        let again = service.switched(proof(&sent), &allowed).await.expect("on the list");
        assert_eq!(again.tokens.account_id, first.account_id);
    }

    async fn a_maintenance_that_is_over_keeps_nobody_out_and_one_that_is_not_says_until_when(database: TestDatabase) {
        let service = Service::start(database).await;
        service.register("ann").await.expect("registered");
        let until = common::clock::Clock::now(&*service.clock) + Duration::from_secs(600);
        let mut switches = maintenance(vec![1]);
        switches.maintenance.as_mut().expect("there").until = Some(until.as_millis());
        let refused = service.switched(password("ann", PASSWORD), &switches).await.expect_err("refused");
        assert_eq!(refused.details, [("until".into(), until.as_millis().to_string().into())]);
        assert_eq!(refused.retry_after, Some(Duration::from_secs(600)));
        service.clock.advance(Duration::from_secs(600));
        service.switched(password("ann", PASSWORD), &switches).await.expect("it is over");
    }

    async fn maintenance_ends_no_session(database: TestDatabase) {
        let service = Service::start(database).await;
        let ann = service.register("ann").await.expect("registered").tokens;
        let refused = service.switched(password("ann", PASSWORD), &maintenance(vec![])).await;
        assert_eq!(code(refused), ErrorCode::MAINTENANCE);
        assert_eq!(service.status(&ann.access_token).await, TokenStatus::VALID);
        service.refresh(&ann.refresh_token).await.expect("refreshed");
    }

    async fn while_registration_is_closed_accounts_sign_in_and_none_is_made(database: TestDatabase) {
        let service = Service::start(database).await;
        let guest = service.device_login("phone", None).await.expect("a guest");
        let closed = SignInSwitches { registration_open: Some(false), ..SignInSwitches::default() };
        service.switched(device_proof("phone", guest.device_secret.as_deref()), &closed).await.expect("signed in");
        let by_device = service.switched(device_proof("another", None), &closed).await.expect_err("refused");
        let request = RegisterRequest { switches: Some(closed), ..service.register_request("ann", PASSWORD) };
        let by_name = public(service.account.register(request).await).expect_err("refused");
        assert_eq!(by_device, by_name);
        assert_eq!(by_name.code, ErrorCode::LOGIN_KIND_DISABLED);
        assert_eq!(service.count("SELECT COUNT(*) FROM account_accounts").await, 1);
    }

    async fn only_the_kinds_that_are_switched_on_sign_in(database: TestDatabase) {
        let service = Service::start(database).await;
        service.register("ann").await.expect("registered");
        let only = |kinds: &[&'static str]| SignInSwitches {
            login_kinds: Some(kinds.iter().map(|kind| (*kind).into()).collect()),
            ..SignInSwitches::default()
        };
        service.switched(password("ann", PASSWORD), &only(&["password"])).await.expect("signed in");
        for kinds in [&["device", "phone"][..], &["of a later version"], &[]] {
            let refused = service.switched(password("ann", PASSWORD), &only(kinds)).await;
            assert_eq!(code(refused), ErrorCode::LOGIN_KIND_DISABLED, "{kinds:?}");
        }
        assert_eq!(code(service.switched(device_proof("phone", None), &only(&["password"])).await), ErrorCode::LOGIN_KIND_DISABLED);
    }
}
