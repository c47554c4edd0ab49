//! Whole imports, on both databases.

use std::{
    fmt::Write as _,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use common::{clock::SystemClock, error_code::ErrorCode};
use tempfile::TempDir;
use tokio::sync::Notify;

use super::*;
use crate::testing::{Service, code};

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
    Import::open(service.database.clone(), Arc::new(SystemClock), "old").await.expect("opened")
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
                "{{\"line\":8,\"reason\":\"not a JSON object\"}}\n\
                 {{\"line\":6,\"field\":\"username or device\",\"reason\":\"{taken}\"}}\n"
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

    async fn a_source_that_cannot_be_is_refused(database: TestDatabase) {
        let service = Service::start(database).await;
        for source in ["", "a b", "A", &*"x".repeat(65)] {
            let opened = Import::open(service.database.clone(), Arc::new(SystemClock), source).await;
            assert!(matches!(opened, Err(ImportError::Argument(_))), "{source}");
        }
    }
}
