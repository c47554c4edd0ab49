//! Roles as processes of their own, one or several of each, on a MariaDB server.

use tempfile::TempDir;

use super::{
    Builder, Platform, Shape, operator,
    settings::{Blueprint, behind_a_name, found_by_a_list, found_by_dns, on_nacos_and_redis, setting},
};
use crate::support::{Client, Replica, Role, database::Database, listener::Listener, role::RoleProcess};

pub(super) async fn start(builder: Builder, directory: TempDir) -> Platform {
    let Builder { shape, extra, own_mariadb, dns } = builder;
    let name = database_name(&directory);
    let database = if own_mariadb { Database::private(name).await } else { Database::shared(name).await };
    let listeners: Vec<(Replica, Listener)> =
        shape.replicas().into_iter().map(|replica| (replica, listener(replica, dns.is_some()))).collect();
    let found = match (shape, &dns) {
        (_, Some(server)) => found_by_dns(server, &listeners),
        (Shape::FleetOnNacos, None) => on_nacos_and_redis(&database),
        (Shape::FourRolesMariadb | Shape::AllInOne, None) => found_by_a_list(&instances(&listeners)),
    };
    let common = [vec![setting("log.format", "json")], found].concat();
    let blueprint = Blueprint { common, database_url: Some(database.url()), extra, is_found_by_dns: dns.is_some() };

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

fn listener(replica: Replica, is_found_by_dns: bool) -> Listener {
    let listener = Listener::reserve();
    if is_found_by_dns && replica.role == Role::Account { listener.on(behind_a_name(replica)) } else { listener }
}

/// Where the services are.
fn instances(listeners: &[(Replica, Listener)]) -> Vec<(Role, String)> {
    let services = listeners.iter().filter(|(replica, _)| replica.role != Role::Gateway);
    services.map(|(replica, port)| (replica.role, port.address())).collect()
}

/// The directory's name is random and this platform's alone, and so is the database's.
fn database_name(directory: &TempDir) -> String {
    let name = directory.path().file_name().unwrap().to_string_lossy().replace('-', "_");
    format!("{name}_{}", std::process::id())
}
