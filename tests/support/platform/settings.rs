//! What the processes of a platform are configured with.

use std::net::Ipv4Addr;

use crate::support::{DnsServer, Replica, Role, database::Database, listener::Listener, role::Settings};

/// What every process of a platform has in its configuration, and what a role has besides.
pub(super) struct Blueprint {
    /// How the processes find each other, and what else they have in common.
    pub(super) common: Settings,
    /// Absent: the embedded one.
    pub(super) database_url: Option<String>,
    /// What the story wants to be different.
    pub(super) extra: Settings,
    /// Whether accounts are addresses behind a name, all with the same port.
    pub(super) is_found_by_dns: bool,
}

impl Blueprint {
    /// The configuration of one process, without its listeners.
    pub(super) fn of(&self, replica: Replica) -> Settings {
        // Replicas share a directory here for their logs only: each has data of its own, as on a machine of its own.
        let data_dir = setting("data_dir", &format!("./{}", Self::data_dir(replica)));
        let own = match replica.role {
            Role::All => embedded(),
            Role::Account => self.for_commands(),
            Role::Setting => store(),
            Role::Pay => self.sql(),
            Role::Gateway => Vec::new(),
        };
        [vec![data_dir], own, self.common.clone(), self.extra.clone()].concat()
    }

    /// The name of the directory with the data of one of several processes.
    pub(super) fn data_dir(replica: Replica) -> String {
        format!("data-{}-{}", replica.role.name(), replica.index)
    }

    /// The configuration that an operator's commands need: what account has.
    pub(super) fn for_commands(&self) -> Settings {
        match self.database_url {
            None => embedded(),
            Some(_) => [self.sql(), vec![setting("account.master_key", &"5a".repeat(32))]].concat(),
        }
    }

    fn sql(&self) -> Settings {
        self.database_url.iter().map(|url| setting("sql.url", url)).collect()
    }
}

/// One key.
pub(super) fn setting(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

/// Everything in one directory, as the first start has it.
fn embedded() -> Settings {
    [vec![setting("data_dir", "./data")], store()].concat()
}

fn store() -> Settings {
    vec![setting("setting.root", "./settings")]
}

/// The instances of each role, by name.
pub(super) fn found_by_a_list(instances: &[(Role, String)]) -> Settings {
    let listed = |(role, address): &(Role, String)| {
        setting(&format!("discovery.static.{}", role.name()), &format!("[\"{address}\"]"))
    };
    [vec![setting("discovery.kind", "static")], instances.iter().map(listed).collect()].concat()
}

/// The addresses behind names, as whom this server knows.
pub(super) fn found_by_dns(server: &str, listeners: &[(Replica, Listener)]) -> Settings {
    let named = |(replica, listener): &(Replica, Listener)| {
        let (role, port) = (replica.role.name(), listener.port());
        setting(&format!("discovery.dns.{role}"), &format!("{role}.{}:{port}", DnsServer::DOMAIN))
    };
    let services = listeners.iter().filter(|(replica, _)| replica.role != Role::Gateway);
    // Looks often, so that stories are not about waiting.
    let asked = [("kind", "dns"), ("dns.server", server), ("dns.min_ttl", "100ms"), ("dns.timeout", "200ms")];
    let asked = asked.map(|(key, value)| setting(&format!("discovery.{key}"), value));
    asked.into_iter().chain(services.map(named)).collect()
}

/// The address of an account among those behind the name.
pub(super) fn behind_a_name(account: Replica) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, u8::try_from(2 + account.index).unwrap())
}

/// Through servers that all stories share, where this platform has a place of its own.
pub(super) fn on_nacos_and_redis(database: &Database) -> Settings {
    /// Where a test may register. `cargo xtask test` starts a server and sets it.
    const NACOS: &str = "PLAYGATE_TEST_NACOS";
    /// Where a test may write keys. Likewise.
    const REDIS_URL: &str = "PLAYGATE_TEST_REDIS_URL";
    let server = |variable| {
        std::env::var(variable)
            .unwrap_or_else(|_| panic!("{variable} is not set: run `cargo xtask test` or `cargo xtask services`"))
    };
    vec![
        setting("discovery.kind", "nacos"),
        setting("nacos.server", &server(NACOS)),
        setting("nacos.group", database.name()),
        // Looks often, so that stories are not about waiting.
        setting("nacos.refresh_interval", "500ms"),
        setting("redis.url", &server(REDIS_URL)),
        setting("redis.key_prefix", &format!("{}:", database.name())),
    ]
}
