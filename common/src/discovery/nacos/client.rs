//! The process's one Nacos client: made off the path of the start, asked with a time limit.
//!
//! Nothing of the client library's reaches the rest of the process: its panics and its silence are answers that did
//! not come. Making the client takes seconds when Nacos is down, and then succeeds: it goes on trying by itself.

use std::{
    fmt,
    future::Future,
    io,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use nacos_sdk::api::{
    config::{ConfigService, ConfigServiceBuilder},
    error::Error as SdkError,
    naming::{NamingService, NamingServiceBuilder},
    plugin::AuthPlugin,
    props::ClientProps,
};
use prometheus::Registry;
use tokio::{
    sync::OnceCell,
    time::{sleep, timeout},
};

use super::{
    config::NacosConfig,
    login::Login,
    metrics::{ApiMetrics, NacosMetrics},
    tunnel,
};
use crate::{
    clock::{SharedClock, SharedRandom},
    discovery::{DiscoveryMetrics, feed::Feeds},
    lifecycle::Lifecycle,
    tls,
};

/// Between two attempts to make a client. The library itself tries again and again once it is made.
const PAUSE: Duration = Duration::from_secs(5);

/// What the client needs from the process.
#[derive(Debug)]
pub struct NacosParts {
    /// Runs what follows the lists and keeps the registrations; says when to register and when to leave.
    pub lifecycle: Lifecycle,
    /// Where the client's metrics go.
    pub registry: Registry,
    /// What is measured of the lists.
    pub lists: DiscoveryMetrics,
    /// For the age of lists.
    pub clock: SharedClock,
    /// For jitter.
    pub random: SharedRandom,
}

/// Why a client can't be used as it is configured. That Nacos is down is none of the reasons.
#[derive(Debug, thiserror::Error)]
pub enum NacosError {
    /// A mistake in the composition: two clients in one process.
    #[error("the metrics of Nacos are registered already")]
    Metrics(#[from] prometheus::Error),
    /// The file in `nacos.ca_file` can't be read, names no authority, or is of no use.
    #[error("`nacos.ca_file`, {}: {reason}", .file.display())]
    Authorities {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The TLS library refuses its own defaults.
    #[error("TLS to Nacos can't be prepared")]
    Tls(#[from] rustls::Error),
    /// A server's name is none, or this machine has no port left.
    #[error("no way to Nacos through TLS can be opened")]
    Tunnel(#[source] io::Error),
}

/// Nacos, as a process sees it. Cheap to clone; clones are the same client.
#[derive(Clone)]
pub struct Nacos(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) config: NacosConfig,
    /// Where the library is to look for the servers.
    servers: Vec<String>,
    pub(super) cache_dir: PathBuf,
    pub(super) naming: Api<NamingService>,
    pub(super) documents: Api<ConfigService>,
    pub(super) feeds: Feeds,
    pub(super) lifecycle: Lifecycle,
    pub(super) random: SharedRandom,
    pub(super) metrics: NacosMetrics,
}

/// One of the two halves of Nacos, with a connection of its own.
pub(super) struct Api<S> {
    name: &'static str,
    service: OnceCell<S>,
    request_timeout: Duration,
    /// What the last answer was, so that only changes are logged.
    is_answering: AtomicBool,
    login: Option<Arc<Login>>,
    metrics: NacosMetrics,
    /// Made with the first outcome: an api that is never used is neither connected nor not.
    measured: OnceLock<ApiMetrics>,
}

/// A question that Nacos did not answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unanswered {
    #[error("no answer within the time limit")]
    TimedOut,
    #[error("the client library panicked")]
    Panicked,
    #[error(transparent)]
    Failed(#[from] SdkError),
}

impl Nacos {
    /// A client that has not connected yet: the first question does. `data_dir` is where the last good lists are kept
    /// unless the configuration names another place.
    pub fn new(config: &NacosConfig, data_dir: &Path, parts: NacosParts) -> Result<Self, NacosError> {
        let NacosParts { lifecycle, registry, lists, clock, random } = parts;
        let metrics = NacosMetrics::register(&registry)?;
        let tls = tls_config(config)?;
        let servers = match config.tls {
            true => tunnel::open(config, &tls, &lifecycle).map_err(NacosError::Tunnel)?,
            false => config.servers().map(str::to_owned).collect(),
        };
        let login = Login::new(config, tls).map(Arc::new);
        Ok(Self(Arc::new(Inner {
            cache_dir: config.cache_dir.clone().unwrap_or_else(|| data_dir.join("nacos")),
            naming: Api::new("naming", config.request_timeout, login.clone(), &metrics),
            documents: Api::new("config", config.request_timeout, login, &metrics),
            feeds: Feeds::new(lists, clock),
            config: config.clone(),
            servers,
            lifecycle,
            random,
            metrics,
        })))
    }
}

/// Trusts whom the configuration says, and nobody where nobody is asked to prove anything.
fn tls_config(config: &NacosConfig) -> Result<rustls::ClientConfig, NacosError> {
    let authorities = match (&config.ca_file, config.tls) {
        (None, false) => Ok(rustls::RootCertStore::empty()),
        (None, true) => Ok(tls::authorities_of_the_system()),
        (Some(file), true) => tls::authorities_in(file).map_err(|reason| (file, reason)),
        // Whoever names authorities does not mean to speak in plain.
        (Some(file), false) => Err((file, "is of use only with `nacos.tls = true`".to_owned())),
    };
    let refused = |(file, reason): (&PathBuf, String)| NacosError::Authorities { file: file.clone(), reason };
    Ok(tls::client_config(authorities.map_err(refused)?)?)
}

impl Inner {
    /// The name of a service in the registry, which others may share.
    pub(super) fn registered_name(service: &str) -> String {
        format!("playgate-{service}")
    }

    /// The naming half, connected. Takes seconds while Nacos is down, and is then there nevertheless.
    pub(super) async fn naming(&self) -> NamingService {
        let build = || {
            let builder = NamingServiceBuilder::new(self.properties());
            match self.naming.auth() {
                Some(login) => builder.with_auth_plugin(login).build(),
                None => builder.build(),
            }
        };
        self.naming.service(build).await
    }

    /// The half of the documents, connected. As with naming.
    pub(super) async fn documents(&self) -> ConfigService {
        let build = || {
            let builder = ConfigServiceBuilder::new(self.properties());
            match self.documents.auth() {
                Some(login) => builder.with_auth_plugin(login).build(),
                None => builder.build(),
            }
        };
        self.documents.service(build).await
    }

    fn properties(&self) -> ClientProps {
        let config = &self.config;
        let properties = ClientProps::new()
            // What a process does is in its configuration, not in variables of a library.
            .env_first(false)
            .server_addr(self.servers.join(","))
            .namespace(&config.namespace)
            .app_name("playgate")
            // Makes the client come up although Nacos is down. The lists themselves are kept by us (`disk`).
            .load_cache_at_start(true)
            .cache_dir(self.cache_dir.join("library"))
            // An empty list is news for us, too. What it means is decided in `last_good`.
            .naming_push_empty_protection(false);
        match config.grpc_port {
            Some(port) if !config.tls => properties.remote_grpc_port(port),
            _ => properties,
        }
    }
}

impl<S: Clone> Api<S> {
    fn new(name: &'static str, request_timeout: Duration, login: Option<Arc<Login>>, metrics: &NacosMetrics) -> Self {
        Self {
            name,
            service: OnceCell::new(),
            request_timeout,
            is_answering: AtomicBool::new(true),
            login,
            metrics: metrics.clone(),
            measured: OnceLock::new(),
        }
    }

    fn auth(&self) -> Option<Arc<dyn AuthPlugin>> {
        self.login.clone().map(|login| login as Arc<dyn AuthPlugin>)
    }

    /// The service, made by whoever asks first. Waits until it is made, however long that takes.
    async fn service<F>(&self, build: impl Fn() -> F) -> S
    where
        F: Future<Output = Result<S, SdkError>>,
    {
        loop {
            let made = self.service.get_or_try_init(|| without_panic(build())).await;
            match made {
                Ok(service) => return service.clone(),
                Err(error) => {
                    self.note(Some(&error));
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// Asks a question, within the time limit.
    pub(super) async fn ask<T>(&self, question: impl Future<Output = Result<T, SdkError>>) -> Result<T, Unanswered> {
        let answer = match timeout(self.request_timeout, without_panic(question)).await {
            Ok(answer) => answer,
            Err(_) => Err(Unanswered::TimedOut),
        };
        match &answer {
            // That there is no such document is an answer.
            Ok(_) | Err(Unanswered::Failed(SdkError::ConfigNotFound(_))) => self.note(None),
            Err(error) => self.note(Some(error)),
        }
        answer
    }

    /// Counts an outcome, and logs it when it differs from the one before.
    fn note(&self, error: Option<&Unanswered>) {
        let answered = error.is_none();
        let ApiMetrics { connected, failures } = self.measured.get_or_init(|| self.metrics.api(self.name));
        connected.set(i64::from(answered));
        let answered_before = self.is_answering.swap(answered, Ordering::Relaxed);
        let Some(error) = error else {
            if !answered_before {
                tracing::info!(api = self.name, "Nacos answers again");
            }
            return;
        };
        failures.inc();
        if let Some(login) = &self.login {
            login.doubt();
        }
        if answered_before {
            tracing::warn!(api = self.name, %error, "Nacos does not answer: what is known stays in use");
        }
    }
}

async fn without_panic<T>(question: impl Future<Output = Result<T, SdkError>>) -> Result<T, Unanswered> {
    match AssertUnwindSafe(question).catch_unwind().await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Unanswered::Panicked),
    }
}

impl fmt::Debug for Nacos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nacos").field("server", &self.0.config.server).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::encode;

    #[test]
    fn authorities_are_not_named_for_servers_that_are_spoken_to_in_plain() {
        let config = NacosConfig { ca_file: Some("/etc/ca.pem".into()), ..NacosConfig::default() };
        let refused = tls_config(&config).expect_err("of no use").to_string();
        assert_eq!(refused, "`nacos.ca_file`, /etc/ca.pem: is of use only with `nacos.tls = true`");
        assert!(tls_config(&NacosConfig::default()).is_ok());
    }

    #[tokio::test]
    async fn of_an_api_that_is_never_used_nothing_is_measured() {
        let registry = Registry::new();
        let metrics = NacosMetrics::register(&registry).expect("registered once");
        let api = |name| Api::<()>::new(name, Duration::from_secs(1), None, &metrics);
        let (naming, _unused) = (api("naming"), api("config"));
        assert!(naming.ask(std::future::ready(Ok(()))).await.is_ok());
        let refused: Result<(), _> = naming.ask(std::future::ready(Err(SdkError::NoAvailableServer))).await;
        assert!(refused.is_err());
        let text = encode(&registry).expect("metrics");
        assert!(text.contains(r#"playgate_nacos_connected{api="naming"} 0"#), "{text}");
        assert!(text.contains(r#"playgate_nacos_failures_total{api="naming"} 1"#), "{text}");
        assert!(!text.contains(r#"api="config""#), "{text}");
    }
}
