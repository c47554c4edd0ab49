//! Roles as processes of their own, one or several of each, on a MariaDB server.

use tempfile::TempDir;
use xtask::ports::Port;

use super::{
    Builder, Platform, Shape, operator,
    settings::{Blueprint, found_by_a_list, on_nacos_and_redis, setting},
};
use crate::support::{Client, Replica, Role, database::Database, role::RoleProcess};

pub(super) async fn start(builder: Builder, directory: TempDir) -> Platform {
    let Builder { shape, extra, own_mariadb } = builder;
    let name = database_name(&directory);
    let database = if own_mariadb { Database::private(name).await } else { Database::shared(name).await };
    let listeners: Vec<(Replica, Port)> =
        shape.replicas().into_iter().map(|replica| (replica, Port::reserve().unwrap())).collect();
    let found = match shape {
        Shape::FleetOnNacos => on_nacos_and_redis(&database),
        Shape::FourRolesMariadb | Shape::AllInOne => found_by_a_list(&instances(&listeners)),
    };
    let common = [vec![setting("log.format", "json")], found].concat();
    let blueprint = Blueprint { common, database_url: Some(database.url()), extra };

    operator::migrate(directory.path(), &blueprint.for_commands()).await;
    let app = operator::create_app(directory.path(), &blueprint.for_commands(), "story").await;

    let public = listeners.iter().filter(|(replica, _)| replica.role == shape.front());
    let client = Client::public(public.map(|(_, port)| port.address()).collect());
    let processes = listeners
        .into_iter()
        .map(|(replica, port)| RoleProcess::start(replica, directory.path(), blueprint.of(replica), port));
    let processes = processes.collect();
    let mut platform = Platform { shape, app, client, processes, blueprint, database: Some(database), directory };
    for replica in shape.replicas() {
        platform.is_ready(replica).await;
    }
    // Who has a list knows everybody from the start.
    if shape == Shape::FleetOnNacos {
        platform.has_found_everybody().await;
    }
    platform
}

/// Where the services are.
fn instances(listeners: &[(Replica, Port)]) -> Vec<(Role, String)> {
    let services = listeners.iter().filter(|(replica, _)| replica.role != Role::Gateway);
    services.map(|(replica, port)| (replica.role, port.address())).collect()
}

/// The directory's name is random and this platform's alone, and so is the database's.
fn database_name(directory: &TempDir) -> String {
    let name = directory.path().file_name().unwrap().to_string_lossy().replace('-', "_");
    format!("{name}_{}", std::process::id())
}
