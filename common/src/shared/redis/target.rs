//! What a URL names: one server, a pair under sentinels, or a cluster.

use std::fmt;

use redis::{ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo, io::tcp::TcpSettings};

/// Where sentinels listen unless their URL says otherwise.
const SENTINEL_PORT: u16 = 26379;

/// What to connect to.
#[derive(Clone)]
pub(super) enum Target {
    Node(ConnectionInfo),
    Sentinel(Sentinels),
    /// The nodes to ask first; they name the others.
    Cluster(Vec<ConnectionInfo>),
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
        if let Some(rest) = url.strip_prefix("redis+sentinel://") {
            Sentinels::parse(rest).map(Self::Sentinel)
        } else if let Some(rest) = url.strip_prefix("redis+cluster://") {
            let (credentials, hosts) = split_credentials(rest.trim_end_matches('/'));
            hosts.split(',').map(|host| node(credentials, host, "")).collect::<Result<_, _>>().map(Self::Cluster)
        } else if let Some(rest) = url.strip_prefix("redis://") {
            node("", rest, "").map(Self::Node)
        } else {
            Err("must start with redis://, redis+sentinel:// or redis+cluster://")
        }
    }
}

impl Sentinels {
    fn parse(rest: &str) -> Result<Self, &'static str> {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (service, database) = path.split_once('/').unwrap_or((path, ""));
        if service.is_empty() {
            return Err("must name the service the sentinels watch: redis+sentinel://host1,host2/service");
        }
        let (credentials, hosts) = split_credentials(authority);
        let master = node(credentials, "any", database)?.redis_settings().clone();
        let own = sentinel_settings(query)?;
        let sentinel = |host: &str| node("", &with_port(host), "").map(|info| info.set_redis_settings(own.clone()));
        let sentinels = hosts.split(',').map(sentinel).collect::<Result<_, _>>()?;
        Ok(Self { sentinels, service: service.to_owned(), master })
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

fn node(credentials: &str, host: &str, database: &str) -> Result<ConnectionInfo, &'static str> {
    if host.is_empty() {
        return Err("must name a host");
    }
    let info = format!("redis://{credentials}{host}/{database}").trim_end_matches('/').into_connection_info();
    let info = info.map_err(|_| "must be of the form redis://user:password@host:6379/0")?;
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
        let Target::Cluster(nodes) = parsed("redis+cluster://ann:secret@one:7000,two/") else { panic!("a cluster") };
        assert_eq!(shown(&nodes[0]), ("one:7000".to_owned(), Some("ann"), Some("secret"), 0));
        assert_eq!(shown(&nodes[1]), ("two:6379".to_owned(), Some("ann"), Some("secret"), 0));
    }

    #[test]
    fn a_url_that_names_nothing_is_refused_and_a_target_never_prints_its_password() {
        for url in [
            "rediss://cache",
            "cache:6379",
            "redis://",
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
