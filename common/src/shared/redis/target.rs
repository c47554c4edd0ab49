//! What a URL names: one server, a pair under sentinels, or a cluster.

use std::fmt;

use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo, RedisResult, TlsCertificates,
    io::tcp::TcpSettings,
};

/// Where sentinels listen unless their URL says otherwise.
const SENTINEL_PORT: u16 = 26379;

/// What to connect to.
#[derive(Clone)]
pub(super) enum Target {
    Node(ConnectionInfo),
    Sentinel(Sentinels),
    Cluster(Cluster),
}

/// The nodes to ask first; they name the others.
#[derive(Clone)]
pub(super) struct Cluster {
    pub(super) nodes: Vec<ConnectionInfo>,
    /// Whom to trust, for the nodes that are named; absent: the public authorities.
    pub(super) certificates: Option<TlsCertificates>,
}

/// How the servers are spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Plain,
    Tls,
}

/// Sentinels, and the pair to ask them about.
#[derive(Clone)]
pub(super) struct Sentinels {
    pub(super) sentinels: Vec<ConnectionInfo>,
    pub(super) service: String,
    /// Credentials and database for whichever server is the master.
    pub(super) master: RedisConnectionInfo,
}

impl Target {
    /// Reads a URL. The reasons of refusal never repeat it, because it may hold a password.
    pub(super) fn parse(url: &str) -> Result<Self, &'static str> {
        let (name, rest) = url.split_once("://").unwrap_or((url, ""));
        match name {
            "redis" => node(Scheme::Plain, "", rest, "").map(Self::Node),
            "rediss" => node(Scheme::Tls, "", rest, "").map(Self::Node),
            "redis+sentinel" => Sentinels::parse(Scheme::Plain, rest).map(Self::Sentinel),
            "rediss+sentinel" => Sentinels::parse(Scheme::Tls, rest).map(Self::Sentinel),
            "redis+cluster" => Cluster::parse(Scheme::Plain, rest).map(Self::Cluster),
            "rediss+cluster" => Cluster::parse(Scheme::Tls, rest).map(Self::Cluster),
            _ => Err("must start with redis://, redis+sentinel:// or redis+cluster://, or with rediss for TLS"),
        }
    }

    /// Whether its servers are spoken to through TLS.
    pub(super) fn is_encrypted(&self) -> bool {
        let some = match self {
            Self::Node(info) => Some(info),
            Self::Sentinel(sentinels) => sentinels.sentinels.first(),
            Self::Cluster(cluster) => cluster.nodes.first(),
        };
        some.is_some_and(|info| matches!(info.addr(), ConnectionAddr::TcpTls { .. }))
    }

    /// The same target, encrypted, and believed to be itself by these certificates alone.
    pub(super) fn trusting(self, certificates: TlsCertificates) -> RedisResult<Self> {
        let trust = |info: ConnectionInfo| {
            Client::build_with_tls(info, certificates.clone()).map(|client| client.get_connection_info().clone())
        };
        match self {
            Self::Node(info) => trust(info).map(Self::Node),
            Self::Sentinel(Sentinels { sentinels, service, master }) => {
                let sentinels = sentinels.into_iter().map(trust).collect::<RedisResult<_>>()?;
                Ok(Self::Sentinel(Sentinels { sentinels, service, master }))
            }
            Self::Cluster(Cluster { nodes, .. }) => {
                Ok(Self::Cluster(Cluster { nodes, certificates: Some(certificates) }))
            }
        }
    }
}

impl Cluster {
    fn parse(scheme: Scheme, rest: &str) -> Result<Self, &'static str> {
        let (credentials, hosts) = split_credentials(rest.trim_end_matches('/'));
        let nodes = hosts.split(',').map(|host| node(scheme, credentials, host, "")).collect::<Result<_, _>>()?;
        Ok(Self { nodes, certificates: None })
    }
}

impl Sentinels {
    fn parse(scheme: Scheme, rest: &str) -> Result<Self, &'static str> {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (service, database) = path.split_once('/').unwrap_or((path, ""));
        if service.is_empty() {
            return Err("must name the service the sentinels watch: redis+sentinel://host1,host2/service");
        }
        let (credentials, hosts) = split_credentials(authority);
        let master = node(scheme, credentials, "any", database)?.redis_settings().clone();
        let own = sentinel_settings(query)?;
        let sentinel =
            |host: &str| node(scheme, "", &with_port(host), "").map(|info| info.set_redis_settings(own.clone()));
        let sentinels = hosts.split(',').map(sentinel).collect::<Result<_, _>>()?;
        Ok(Self { sentinels, service: service.to_owned(), master })
    }

    /// How to connect to the master that a sentinel has named: as to the sentinels, with credentials of its own.
    pub(super) fn master_at(&self, host: String, port: u16) -> RedisResult<ConnectionInfo> {
        let sentinel = self.sentinels.first();
        let address = match sentinel.map(ConnectionInfo::addr) {
            Some(ConnectionAddr::TcpTls { insecure, tls_params, .. }) => {
                ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
            }
            _ => ConnectionAddr::Tcp(host, port),
        };
        let tcp = sentinel.map(|sentinel| sentinel.tcp_settings().clone()).unwrap_or_default();
        let info = address.into_connection_info()?;
        Ok(info.set_redis_settings(self.master.clone()).set_tcp_settings(tcp))
    }
}

/// Without credentials: a debug print of a URL would show them.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Node(_) => "a server",
            Self::Sentinel(_) => "a pair under sentinels",
            Self::Cluster(_) => "a cluster",
        })
    }
}

/// Credentials keep their `@`: a password with another one has it percent-encoded.
fn split_credentials(authority: &str) -> (&str, &str) {
    match authority.rfind('@') {
        Some(at) => authority.split_at(at + 1),
        None => ("", authority),
    }
}

fn node(scheme: Scheme, credentials: &str, host: &str, database: &str) -> Result<ConnectionInfo, &'static str> {
    if host.is_empty() {
        return Err("must name a host");
    }
    let scheme = match scheme {
        Scheme::Plain => "redis",
        Scheme::Tls => "rediss",
    };
    let info = format!("{scheme}://{credentials}{host}/{database}").trim_end_matches('/').into_connection_info();
    let info = info.map_err(|_| "must be of the form redis://user:password@host:6379/0")?;
    if let ConnectionAddr::TcpTls { insecure: true, .. } = info.addr() {
        return Err("must not end with #insecure: who has any certificate at all could be Redis then");
    }
    // Small questions go out at once instead of waiting for the acknowledgement of the one before.
    Ok(info.set_tcp_settings(TcpSettings::default().set_nodelay(true)))
}

fn with_port(host: &str) -> String {
    // The colons inside the brackets of an IPv6 address are none.
    let has_port = host.rsplit(']').next().is_some_and(|end| end.contains(':'));
    if has_port { host.to_owned() } else { format!("{host}:{SENTINEL_PORT}") }
}

fn sentinel_settings(query: &str) -> Result<RedisConnectionInfo, &'static str> {
    let mut settings = RedisConnectionInfo::default();
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        settings = match key.as_ref() {
            "sentinel_username" => settings.set_username(value),
            "sentinel_password" => settings.set_password(value),
            _ => return Err("knows only the parameters sentinel_username and sentinel_password"),
        };
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Target {
        Target::parse(url).unwrap_or_else(|reason| panic!("{url}: {reason}"))
    }

    fn shown(info: &ConnectionInfo) -> (String, Option<&str>, Option<&str>, i64) {
        let settings = info.redis_settings();
        (info.addr().to_string(), settings.username(), settings.password(), settings.db())
    }

    #[test]
    fn a_server_is_named_with_credentials_and_database() {
        let Target::Node(info) = parsed("redis://ann:p%40ss@cache:7000/3") else { panic!("one server") };
        assert_eq!(shown(&info), ("cache:7000".to_owned(), Some("ann"), Some("p@ss"), 3));
        assert!(info.tcp_settings().nodelay());
        let Target::Node(info) = parsed("redis://cache") else { panic!("one server") };
        assert_eq!(shown(&info), ("cache:6379".to_owned(), None, None, 0));
    }

    #[test]
    fn sentinels_and_the_servers_they_watch_have_credentials_of_their_own() {
        let url = "redis+sentinel://:secret@one,[::1],three:7777/game/2?sentinel_password=watch&sentinel_username=s";
        let Target::Sentinel(Sentinels { sentinels, service, master }) = parsed(url) else { panic!("sentinels") };
        let addresses: Vec<_> = sentinels.iter().map(|info| info.addr().to_string()).collect();
        assert_eq!(addresses, ["one:26379", "::1:26379", "three:7777"]);
        assert_eq!(shown(&sentinels[0]).2, Some("watch"));
        assert_eq!((service.as_str(), master.password(), master.db()), ("game", Some("secret"), 2));
    }

    #[test]
    fn every_node_of_a_cluster_gets_the_credentials() {
        let Target::Cluster(Cluster { nodes, .. }) = parsed("redis+cluster://ann:secret@one:7000,two/") else {
            panic!("a cluster")
        };
        assert_eq!(shown(&nodes[0]), ("one:7000".to_owned(), Some("ann"), Some("secret"), 0));
        assert_eq!(shown(&nodes[1]), ("two:6379".to_owned(), Some("ann"), Some("secret"), 0));
    }

    #[test]
    fn each_kind_of_target_can_be_encrypted() {
        for rest in ["://:secret@cache:7000/3", "+sentinel://one,two/game", "+cluster://one,two"] {
            assert!(!parsed(&format!("redis{rest}")).is_encrypted(), "{rest}");
            assert!(parsed(&format!("rediss{rest}")).is_encrypted(), "{rest}");
        }
        let Target::Sentinel(sentinels) = parsed("rediss+sentinel://one,two/game") else { panic!("sentinels") };
        let master = sentinels.master_at("three".to_owned(), 7000).expect("an address");
        assert!(Target::Node(master).is_encrypted(), "what sentinels name is spoken to as they are");
    }

    #[test]
    fn a_url_that_names_nothing_is_refused_and_a_target_never_prints_its_password() {
        for url in [
            "cache:6379",
            "redis://",
            "rediss://",
            "rediss://cache/#insecure",
            "rediss+cluster://one,two#insecure",
            "redis://cache/first",
            "redis+cluster://one,,two",
            "redis+sentinel://one:26379",
            "redis+sentinel://one/game?password=x",
        ] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
        assert_eq!(format!("{:?}", parsed("redis://:secret@cache")), "a server");
    }
}
