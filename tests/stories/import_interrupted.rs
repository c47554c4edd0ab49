//! The database goes away while a studio's players are imported.

use std::{fs::File, io::Write, process::Command};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Answer, Platform, Shape, eventually, in_four_roles};

in_four_roles!(while_the_database_is_away_an_import_waits_and_goes_on);

/// The hashcat wiki's example hash for vBulletin.
const PASSWORD: &str = "hashcat";
const HASH: &str = "$md5$f=md5pass-salt$568$16780ba78d2d5f02f3202901c1b6d975";

async fn while_the_database_is_away_an_import_waits_and_goes_on(shape: Shape) {
    /// More than is written at one time.
    const MANY: usize = 600;
    let mut platform = Platform::build(shape).with_own_mariadb().start().await;
    let pipe = platform.directory().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let lines = |names: &str| -> String {
        let line = |number| json!({ "username": format!("{names}-{number}"), "password_hash": HASH });
        (0..MANY).map(|number| format!("{}\n", line(number))).collect()
    };
    let mut importing = JoinSet::new();
    importing.spawn(platform.run_account(&["import", "pipe"]));
    // Opening waits for the reader, and writing for its buffer.
    let mut accounts =
        tokio::task::spawn_blocking(move || File::options().write(true).open(pipe)).await.unwrap().unwrap();
    accounts.write_all(lines("early").as_bytes()).unwrap();
    eventually("the first ones are in", || async { (login(&platform, "early-0").await.status == 200).then_some(()) })
        .await;
    platform.mariadb().kill().unwrap();
    accounts.write_all(lines("late").as_bytes()).unwrap();
    drop(accounts);
    login(&platform, "early-0").await.could_not_tell();
    platform.mariadb().restart().unwrap();

    let output = importing.join_next().await.unwrap().unwrap();
    let summary: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!((output.status.code(), &summary["lines"], &summary["rejected"]), (Some(0), &json!(2 * MANY), &json!(0)));
    eventually("logins work again", || async { (login(&platform, "late-0").await.status == 200).then_some(()) }).await;
    let last = format!("late-{}", MANY - 1);
    login(&platform, &last).await.ok();
}

async fn login(platform: &Platform, username: &str) -> Answer {
    let app_id = platform.app().app_id;
    let body = json!({ "app_id": app_id, "kind": "password", "username": username, "password": PASSWORD });
    platform.client().post("/v1/sdk/login", &body).await
}
