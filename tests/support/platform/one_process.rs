//! `playgate serve all`, on the embedded defaults.

use tempfile::TempDir;

use super::{
    Builder, Platform, operator,
    settings::{Blueprint, setting},
};
use crate::support::{Client, Role, listener::Listener, role::RoleProcess};

pub(super) async fn start(builder: Builder, directory: TempDir) -> Platform {
    let public = Listener::reserve();
    let client = Client::public(vec![public.address()]);
    let common = vec![setting("log.format", "json"), setting("gateway.listen", &public.address())];
    let blueprint = Blueprint { common, database_url: None, extra: builder.extra, is_found_by_dns: false };
    let replica = Role::All.replica(0);
    let mut all = RoleProcess::start(replica, directory.path(), blueprint.of(replica), public);
    all.ready().await;
    // The first start has made the database.
    let app = operator::create_app(directory.path(), &blueprint.for_commands(), "story").await;
    Platform { shape: builder.shape, app, client, processes: vec![all], blueprint, database: None, directory }
}
