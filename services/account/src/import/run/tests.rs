//! Whole imports, on both databases.

use std::{
    fmt::Write as _,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use common::{
    clock::{Clock, SystemClock, SystemRandom},
    error_code::ErrorCode,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Notify;

use super::*;
use crate::{
    domain::{device::DeviceId, username::Username},
    store::{accounts::CredentialName, imports::Owner},
    testing::{ChannelServer, Issuer, PHONE, Phones, Service, code},
};

const HASH: &str = "$md5$f=pass$$8743b52063cd84097a65d1633f5c74f5";
const PASSWORD: &str = "hashcat";

/// Some accounts in a file.
struct Accounts {
    directory: TempDir,
}

impl Accounts {
    fn of(text: &str) -> Self {
        let accounts = Self { directory: tempfile::tempdir().expect("a directory") };
        std::fs::write(accounts.file(), text).expect("written");
        accounts
    }

    /// `count` lines with a username and an external id each.
    fn many(count: usize) -> Self {
        let mut text = String::new();
        for number in 0..count {
            writeln!(text, r#"{{"external_id":"{number}","username":"player-{number}","password_hash":"{HASH}"}}"#)
                .expect("written");
        }
        Self::of(&text)
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("accounts.ndjson")
    }

    fn rejects(&self) -> PathBuf {
        self.directory.path().join("accounts.ndjson.rejects.ndjson")
    }

    async fn import(&self, service: &Service) -> Summary {
        let import = open(service).await;
        import.run(&self.file(), &self.rejects(), |_| ()).await.expect("imported")
    }

    fn rejected(&self) -> String {
        std::fs::read_to_string(self.rejects()).expect("read")
    }
}

async fn open(service: &Service) -> Import {
    let clock = Arc::new(SystemClock);
    Import::open(service.database.clone(), service.master_key(), clock, "old").await.expect("opened")
}

fn channel(app_id: i64, channel: &str, uid: &str) -> Value {
    json!({ "app_id": app_id, "channel": channel, "channel_uid": uid })
}

fn channels_line(players: &[(i64, &str, &str)]) -> String {
    let channels: Vec<_> = players.iter().map(|(app_id, name, uid)| channel(*app_id, name, uid)).collect();
    json!({ "channels": channels }).to_string()
}

/// People with a username and a device of the same name, and no external id.
fn people(names: &[&str]) -> Batch {
    let record = |name: &&str| {
        let secret = "5e".repeat(32);
        let device = format!(r#"{{"app_id":7,"device_id":"{name}","device_secret_sha256":"{secret}"}}"#);
        let line = format!(r#"{{"username":"{name}","password_hash":"{HASH}","device":{device}}}"#);
        let personal_data = PersonalData::new(&MasterKey::generate(&SystemRandom));
        Record::parse(line.as_bytes(), SystemClock.now(), &personal_data).expect("an account")
    };
    let lines = names.len() as u64;
    Batch { records: (1..=lines).zip(names.iter().map(record)).collect(), lines, ..Batch::default() }
}

/// The usernames and the devices that one look sees.
type Look<'l> = (&'l [&'l str], &'l [&'l str]);

/// What becomes of them when the looks see these usernames and devices, one after the other: new, skipped and refused.
async fn settled(names: &[&str], looks: &[Look<'_>]) -> Result<(usize, u64, usize), ImportError> {
    let (batch, mut looks) = (people(names), looks.iter());
    let app_id = batch.records[0].1.device.as_ref().expect("a device").app_id;
    let look = || {
        let (usernames, devices) = looks.next().expect("no more looks than that");
        let mut taken = Taken::default();
        taken.apps.insert(app_id);
        // Who has a name and a device of the same name is one account.
        let account = |name: &str| Owner::Account(name.bytes().map(i64::from).sum());
        for name in *usernames {
            taken.own(CredentialName::Password(&Username::parse(name).expect("valid")), account(name));
        }
        for name in *devices {
            taken.own(CredentialName::Device(app_id, &DeviceId::parse(name).expect("valid")), account(name));
        }
        std::future::ready(Ok(taken))
    };
    settle(&batch, look).await.map(|sorted| (sorted.new.len(), sorted.skipped, sorted.refused.len()))
}

#[tokio::test]
async fn who_was_seen_by_halves_and_then_whole_is_there() {
    for half in [(&["ann"][..], &[][..]), (&[], &["ann"])] {
        let whole: Look<'_> = (&["ann"], &["ann"]);
        assert_eq!(settled(&["ann"], &[half, whole]).await.expect("settled"), (0, 1, 0));
    }
}

#[tokio::test]
async fn a_name_that_two_looks_find_with_another_account_is_refused() {
    let hers: Look<'_> = (&["ann"], &[]);
    assert_eq!(settled(&["ann", "bob"], &[hers, hers]).await.expect("settled"), (1, 0, 1));
}

#[tokio::test]
async fn who_is_new_or_there_is_so_at_the_first_look() {
    assert_eq!(settled(&["ann", "bob"], &[(&["ann"], &["ann"])]).await.expect("settled"), (1, 1, 0));
}

#[tokio::test]
async fn looks_that_never_agree_come_to_an_end() {
    let (anns, bobs): (Look<'_>, Look<'_>) = ((&["ann"], &[]), (&["bob"], &[]));
    let outcome = settled(&["ann", "bob"], &[anns, bobs, anns, bobs, anns]).await;
    assert!(matches!(outcome, Err(ImportError::Unsettled)), "{outcome:?}");
}

/// lines, imported, skipped, rejected
fn counts(summary: &Summary) -> (u64, u64, u64, u64) {
    (summary.lines, summary.imported, summary.skipped, summary.rejected)
}

common::on_each_database! {
    async fn an_imported_player_signs_in_and_the_hash_becomes_argon2id(database: TestDatabase) {
        let service = Service::start(database).await;
        let line = format!(r#"{{"external_id":"1","username":"Ann","password_hash":"{HASH}","created_at":1420070400000}}"#);
        let summary = Accounts::of(&line).import(&service).await;
        assert_eq!(counts(&summary), (1, 1, 0, 0));
        assert_eq!(summary.rejects, None);
        assert_eq!(code(service.login("ann", "wrong").await), ErrorCode::WRONG_CREDENTIALS);
        let ann = service.login("ann", PASSWORD).await.expect("signed in");
        assert!(service.password_hash().await.starts_with("$argon2id$"));
        let profile = service.profile(&ann.tokens.access_token).await.expect("a profile");
        assert_eq!(profile.created_at, 1_420_070_400_000);
    }

    async fn an_imported_device_signs_in_with_its_secret(database: TestDatabase) {
        let service = Service::start(database).await;
        let (app_id, secret) = (service.app_id(), "5e".repeat(32));
        let digest = hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, secret.as_bytes()));
        let line = |app_id: i64| {
            format!(
                r#"{{"device":{{"app_id":{app_id},"device_id":"phone","device_secret_sha256":"{digest}"}},
                "username":"ann","password_hash":"{HASH}"}}"#
            )
            .replace('\n', " ")
        };
        let accounts = Accounts::of(&format!("{}\n{}", line(app_id + 1), line(app_id)));
        assert_eq!(counts(&accounts.import(&service).await), (2, 1, 0, 1));
        assert_eq!(accounts.rejected(), "{\"line\":1,\"field\":\"device.app_id\",\"reason\":\"no such app\"}\n");
        let by_device = service.device_login("phone", Some(&secret)).await.expect("signed in");
        let by_password = service.login("ann", PASSWORD).await.expect("signed in");
        assert_eq!(by_device.tokens.account_id, by_password.tokens.account_id);
        assert!(!by_device.is_new_account);
    }

    async fn an_imported_phone_signs_in_with_a_code_and_is_stored_sealed(database: TestDatabase) {
        let phones = Phones::start().await;
        let service = Service::start_with(database, phones.config()).await;
        let line = format!(r#"{{"external_id":"1","phone":"{PHONE}","created_at":1420070400000}}"#);
        assert_eq!(counts(&Accounts::of(&line).import(&service).await), (1, 1, 0, 0));
        let clear = "SELECT COUNT(*) FROM account_credentials WHERE name LIKE '%138%5678%' OR secret LIKE '%138%5678%' \
                     OR shown_name <> ''";
        assert_eq!(service.count(clear).await, 0);
        let ann = service.sign_in_with(&phones, PHONE).await;
        assert!(!ann.is_new_account);
        let profile = service.profile(&ann.tokens.access_token).await.expect("a profile");
        assert_eq!(profile.created_at, 1_420_070_400_000);
        let shown: Vec<_> = profile.credentials.iter().map(|credential| credential.masked_name.as_str()).collect();
        assert_eq!(shown, ["+86138****5678"], "it opens as this account's");
    }

    async fn an_imported_player_of_a_channel_signs_in_once_the_app_has_the_channel(database: TestDatabase) {
        let service = Service::start(database).await;
        let line = channels_line(&[(service.app_id(), "taptap", "ann"), (service.app_id(), "other", "4711")]);
        assert_eq!(counts(&Accounts::of(&line).import(&service).await), (1, 1, 0, 0));
        let issuer = Issuer::new("one");
        let server = ChannelServer::publishing(&[&issuer]).await;
        service.put_channel("taptap", &server.oidc()).await;
        let ann = service.channel_login("taptap", &issuer.credential(&service, "ann")).await.expect("signed in");
        assert!(!ann.is_new_account);
        let profile = service.profile(&ann.tokens.access_token).await.expect("a profile");
        let mut shown: Vec<_> = profile.credentials.iter().map(|credential| credential.masked_name.as_str()).collect();
        shown.sort_unstable();
        assert_eq!(shown, ["other:4***1", "taptap:a***n"]);
        let bob = service.channel_login("taptap", &issuer.credential(&service, "bob")).await.expect("signed in");
        assert!(bob.is_new_account);
    }

    async fn all_that_one_line_has_leads_to_one_account(database: TestDatabase) {
        let phones = Phones::start().await;
        let service = Service::start_with(database, phones.config()).await;
        let (app_id, secret) = (service.app_id(), "5e".repeat(32));
        let digest = hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, secret.as_bytes()));
        let line = json!({
            "username": "ann", "password_hash": HASH, "phone": PHONE,
            "device": { "app_id": app_id, "device_id": "phone", "device_secret_sha256": digest },
            "channels": [{ "app_id": app_id, "channel": "taptap", "channel_uid": "ann" }],
        });
        let accounts = Accounts::of(&line.to_string());
        assert_eq!(counts(&accounts.import(&service).await), (1, 1, 0, 0));
        let issuer = Issuer::new("one");
        let server = ChannelServer::publishing(&[&issuer]).await;
        service.put_channel("taptap", &server.oidc()).await;
        let ann = service.login("ann", PASSWORD).await.expect("signed in").tokens.account_id;
        for answer in [
            service.device_login("phone", Some(&secret)).await.expect("signed in"),
            service.channel_login("taptap", &issuer.credential(&service, "ann")).await.expect("signed in"),
            service.sign_in_with(&phones, PHONE).await,
        ] {
            assert_eq!((answer.tokens.account_id, answer.is_new_account), (ann, false));
        }
        assert_eq!(counts(&accounts.import(&service).await), (1, 0, 1, 0), "a repeat makes nothing");
    }

    async fn a_phone_and_a_channel_that_others_have_are_rejected_by_name_and_without_their_value(
        database: TestDatabase
    ) {
        let phones = Phones::start().await;
        let service = Service::start_with(database, phones.config()).await;
        service.sign_in_with(&phones, PHONE).await;
        let app_id = service.app_id();
        let other_phone = "+14155550100";
        let text = [
            // Its phone is somebody's; the channel is not made without it.
            json!({ "external_id": "1", "phone": PHONE, "channels": [channel(app_id, "taptap", "ann")] }),
            json!({ "external_id": "2", "phone": other_phone, "channels": [channel(app_id, "taptap", "bob")] }),
            // Those of the line before, by another name.
            json!({ "external_id": "3", "phone": other_phone }),
            json!({ "external_id": "4", "channels": [channel(app_id, "taptap", "bob")] }),
            // Everything is taken, by two others: that is no repeat.
            json!({ "phone": PHONE, "channels": [channel(app_id, "taptap", "bob")] }),
            json!({ "phone": other_phone, "channels": [channel(app_id, "taptap", "bob")] }),
            json!({ "channels": [channel(app_id, "other", "bob"), channel(app_id + 1, "taptap", "cid")] }),
            json!({ "phone": "415 555 0100" }),
        ]
        .map(|line| line.to_string());
        let accounts = Accounts::of(&text.join("\n"));
        assert_eq!(counts(&accounts.import(&service).await), (8, 1, 1, 6));
        let rejects: Vec<Value> =
            accounts.rejected().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let named: Vec<_> = rejects.iter().map(|reject| (reject["line"].as_u64(), reject["field"].as_str())).collect();
        let expected = [
            (1, "phone"), (3, "phone"), (4, "channels"), (5, "phone"), (7, "channels.app_id"), (8, "phone"),
        ];
        assert_eq!(named, expected.map(|(line, field)| (Some(line), Some(field))));
        assert!(!accounts.rejected().contains("415"), "{}", accounts.rejected());
        assert_eq!(counts(&accounts.import(&service).await), (8, 0, 2, 6), "the second time nothing is made");
        assert_eq!(service.count("SELECT COUNT(*) FROM account_credentials").await, 3);
    }

    async fn two_imports_of_phones_and_channels_at_once_make_every_account_once(database: TestDatabase) {
        let service = Service::start(database).await;
        let line = |number: usize| {
            let (phone, uid) = (format!("+8613{number:09}"), number.to_string());
            json!({ "phone": phone, "channels": [channel(service.app_id(), "taptap", &uid)] }).to_string()
        };
        let text = (0..BATCH + 100).map(line).collect::<Vec<_>>().join("\n");
        let (accounts, same) = (Accounts::of(&text), Accounts::of(&text));
        let copied = std::fs::File::options().write(true).open(same.file()).expect("opened");
        copied.set_modified(std::time::UNIX_EPOCH).expect("an age of its own");
        let (one, other) = tokio::join!(accounts.import(&service), same.import(&service));
        let total = (BATCH + 100) as u64;
        assert_eq!((one.imported + other.imported, one.skipped + other.skipped), (total, total));
        assert_eq!(service.count("SELECT COUNT(*) FROM account_accounts").await, total as i64);
        assert_eq!(service.count("SELECT COUNT(*) FROM account_credentials").await, total as i64 * 2);
    }

    async fn what_is_there_is_skipped_and_what_is_somebody_elses_is_rejected(database: TestDatabase) {
        let service = Service::start(database).await;
        service.register("ann").await.expect("registered");
        let line = |id: &str, name: &str| format!(r#"{{{id}"username":"{name}","password_hash":"{HASH}"}}"#);
        let text = [
            line("", "bob"),
            line("", "ANN"),                          // There already.
            line("", "Bob"),                          // As is this one, since the first line.
            line(r#""external_id":"7","#, "cid"),
            line(r#""external_id":"7","#, "cid2"),    // The same account by another name.
            line(r#""external_id":"8","#, "ann"),     // Somebody else's name.
            String::new(),
            "not json".to_owned(),
        ]
        .join("\n");
        let accounts = Accounts::of(&text);
        let summary = accounts.import(&service).await;
        assert_eq!(counts(&summary), (8, 2, 3, 2));
        assert_eq!(summary.rejects, Some(accounts.rejects()));
        let taken = "belongs to another account already";
        assert_eq!(
            accounts.rejected(),
            format!(
                "{{\"line\":6,\"field\":\"username\",\"reason\":\"{taken}\"}}\n\
                 {{\"line\":8,\"reason\":\"not a JSON object\"}}\n"
            )
        );
        service.login("ann", crate::testing::PASSWORD).await.expect("her password is still hers");
        assert_eq!(counts(&accounts.import(&service).await), (8, 0, 5, 2), "the second time nothing is made");
        assert_eq!(service.count("SELECT COUNT(*) FROM account_accounts").await, 3);
    }

    async fn an_import_that_was_stopped_goes_on_where_it_was(database: TestDatabase) {
        let service = Service::start(database).await;
        let accounts = Accounts::many(BATCH * 4);
        let mut text = std::fs::read_to_string(accounts.file()).expect("read");
        text.insert_str(0, "not json\n");
        text.push_str("not json either\n");
        std::fs::write(accounts.file(), text).expect("written");

        let (import, stop, seen) = (open(&service).await, Notify::new(), AtomicU64::new(0));
        let input = accounts.file();
        let (file, progress) = (accounts.rejects(), |progress: &Progress| {
            seen.store(progress.lines, Ordering::SeqCst);
            stop.notify_one();
        });
        tokio::select! {
            biased;
            () = stop.notified() => {}
            ended = import.run(&input, &file, progress) => panic!("it was to be stopped: {ended:?}"),
        }
        // As if it had been killed between the rejects and the commit.
        std::fs::write(accounts.rejects(), format!("{}half a li", accounts.rejected())).expect("written");

        let summary = accounts.import(&service).await;
        let total = BATCH as u64 * 4;
        assert_eq!(counts(&summary), (total + 2, total, 0, 2));
        assert!(summary.resumed_after_line >= seen.into_inner() && summary.resumed_after_line < total, "{summary:?}");
        assert_eq!(accounts.rejected().lines().count(), 2, "{}", accounts.rejected());
        assert_eq!(service.count("SELECT COUNT(*) FROM account_accounts").await, BATCH as i64 * 4);
        assert_eq!(service.count("SELECT COUNT(*) FROM account_imports").await, 0);
    }

    async fn two_imports_of_one_file_at_once_make_every_account_once(database: TestDatabase) {
        let service = Service::start(database).await;
        let (accounts, same) = (Accounts::many(BATCH * 2), Accounts::many(BATCH * 2));
        // Another copy, not another run.
        let copied = std::fs::File::options().write(true).open(same.file()).expect("opened");
        copied.set_modified(std::time::UNIX_EPOCH).expect("an age of its own");
        let (one, other) = tokio::join!(accounts.import(&service), same.import(&service));
        assert_eq!(one.imported + other.imported, BATCH as u64 * 2);
        assert_eq!(one.skipped + other.skipped, BATCH as u64 * 2);
        assert_eq!(service.count("SELECT COUNT(*) FROM account_accounts").await, BATCH as i64 * 2);
    }

    #[expect(clippy::print_stdout, reason = "how long it takes depends on the machine, and is told rather than judged")]
    async fn a_hundred_thousand_accounts_are_imported_and_then_skipped(database: TestDatabase) {
        let service = Service::start(database).await;
        let accounts = Accounts::many(100_000);
        for (imported, skipped) in [(100_000, 0), (0, 100_000)] {
            let began = tokio::time::Instant::now();
            assert_eq!(counts(&accounts.import(&service).await), (100_000, imported, skipped, 0));
            println!("100 000 lines, {imported} imported, {skipped} skipped: {:?}", began.elapsed());
        }
        assert_eq!(service.count("SELECT COUNT(*) FROM account_external_ids").await, 100_000);
        service.login("player-99999", PASSWORD).await.expect("signed in");
    }

    async fn an_attempt_that_went_through_unheard_is_counted_as_what_it_was(database: TestDatabase) {
        let service = Service::start(database).await;
        let accounts = Accounts::many(3);
        let import = open(&service).await;
        let input = OpenInput::open(&accounts.file(), "old", &SystemRandom).await.expect("opened");
        let id = input.id;
        let mut lines = Lines::new(input.read_from(0).await.expect("opened"), 0, 0);
        let batch = import.read(&mut lines).await.expect("read");
        let mut rejects = Rejects::open(&accounts.rejects(), 0).await.expect("opened");
        let first = import.write(&batch, Checkpoint::default(), &mut rejects, id).await.expect("written");
        assert_eq!((first.imported, first.skipped), (3, 0));
        // The answer was lost: nobody knows of it.
        let again = import.write(&batch, Checkpoint::default(), &mut rejects, id).await.expect("written");
        assert_eq!(again, first);
        assert_eq!(counts(&accounts.import(&service).await), (3, 3, 0, 0));
        assert_eq!(service.count("SELECT COUNT(*) FROM account_accounts").await, 3);
    }

    async fn an_import_is_written_down_when_it_begins_and_when_it_is_through(database: TestDatabase) {
        let service = Service::start(database).await;
        Accounts::many(2).import(&service).await;
        let records = service.audit().await;
        let told: Vec<_> = records.iter().map(|record| (&*record.actor, &*record.action, &*record.target_id)).collect();
        assert_eq!(
            told[..2],
            [("command line", "account.import", "old"), ("command line", "account.import_begin", "old")]
        );
        assert_eq!(&*records[0].details_json, r#"{"imported":2,"lines":2,"rejected":0,"skipped":0}"#);
    }

    async fn the_accounts_are_never_written_over_by_the_rejects(database: TestDatabase) {
        let service = Service::start(database).await;
        let accounts = Accounts::of("not json\n");
        let import = open(&service).await;
        let roundabout = accounts.directory.path().join(".").join("accounts.ndjson");
        let refused = import.run(&accounts.file(), &roundabout, |_| ()).await;
        assert!(matches!(refused, Err(ImportError::Argument(FieldError { field: "rejects", .. }))), "{refused:?}");
        assert_eq!(std::fs::read_to_string(accounts.file()).expect("read"), "not json\n");
    }

    async fn another_master_key_than_the_platforms_imports_nothing(database: TestDatabase) {
        let service = Service::start(database).await;
        let stranger = MasterKey::generate(&SystemRandom);
        let opened = Import::open(service.database.clone(), &stranger, Arc::new(SystemClock), "old").await;
        assert!(matches!(opened, Err(ImportError::WrongMasterKey)), "{opened:?}");
    }

    async fn a_source_that_cannot_be_is_refused(database: TestDatabase) {
        let service = Service::start(database).await;
        for source in ["", "a b", "A", &*"x".repeat(65)] {
            let opened =
                Import::open(service.database.clone(), service.master_key(), Arc::new(SystemClock), source).await;
            assert!(matches!(opened, Err(ImportError::Argument(_))), "{source}");
        }
    }
}
