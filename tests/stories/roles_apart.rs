//! A role that runs apart needs what it is there for and nothing else: who keeps no accounts and no money needs no
//! database, and who shares nothing needs no Redis.

use std::{fs, path::Path};

use crate::support::{Platform, Role, Shape, in_a_fleet, in_four_roles};

in_four_roles!(only_account_and_pay_have_a_database);
in_a_fleet!(only_account_and_pay_have_a_database, every_role_but_pay_speaks_to_redis);

/// Everything that a platform does, once, so that whoever opens something when it is needed has opened it.
async fn is_used(platform: &Platform) {
    let ann = platform.register("ann").await;
    let again = ann.login().await;
    again.refresh().await.ok();
    for _ in 0..2 {
        assert_eq!(platform.verify(&ann.tokens.access_token).await.status, "valid");
        platform.client().get(&format!("/v1/sdk/settings?app_id={}", platform.app().app_id)).await.ok();
    }
    ann.logout().await.ok();
}

/// The names of all files below a directory; none, if there is no such directory.
fn files(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().map(|entry| entry.unwrap().path());
    let below = entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path.display().to_string()] });
    below.collect()
}

async fn only_account_and_pay_have_a_database(shape: Shape) {
    let platform = Platform::start(shape).await;
    is_used(&platform).await;
    for replica in platform.replicas() {
        let embedded: Vec<_> =
            files(&platform.data_dir_of(replica)).into_iter().filter(|file| file.contains("playgate.db")).collect();
        assert!(embedded.is_empty(), "{replica:?} has {embedded:?}");
        let has_one = platform.metrics(replica).await.contains("playgate_sql_");
        assert_eq!(has_one, matches!(replica.role, Role::Account | Role::Pay), "{replica:?}");
    }
}

async fn every_role_but_pay_speaks_to_redis(shape: Shape) {
    let platform = Platform::start(shape).await;
    is_used(&platform).await;
    for replica in platform.replicas() {
        let speaks = platform.metrics(replica).await.contains("playgate_redis_up");
        assert_eq!(speaks, replica.role != Role::Pay, "{replica:?}");
    }
}
