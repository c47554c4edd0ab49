//! User and password for servers with authentication.
//!
//! In place of the client library's own, which sends the password in the URL and so writes it into the log whenever
//! Nacos can't be reached, and which speaks TLS only in programs that were built for it.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use http::{Request, StatusCode, header::CONTENT_TYPE};
use nacos_sdk::api::plugin::{AuthContext, AuthPlugin, LoginIdentityContext, RequestResource};
use rustls::ClientConfig;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::time::Instant;

use super::config::NacosConfig;
use crate::{
    config::Secret,
    http::client::{HttpCallError, HttpClient, HttpClientLimits},
};

/// A token and what is said about it. Protects memory from a server gone wrong.
const LONGEST_ANSWER: usize = 64 * 1024;

/// Where one logs in: Nacos 1 and 2, and Nacos 3.
const PATHS: [&str; 2] = ["/nacos/v1/auth/login", "/nacos/v3/auth/user/login"];

/// Logs in and keeps the token fresh. The client library asks it to every half minute.
pub(super) struct Login {
    username: String,
    password: Secret,
    /// The servers' HTTP ports, `scheme://host:port`. Those that the library names may be ports of this process.
    servers: Vec<String>,
    client: HttpClient,
    session: Mutex<Option<Session>>,
}

struct Session {
    token: SecretString,
    /// When to log in again: well before the token ends.
    renew_at: Instant,
}

/// What Nacos answers to the right password.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Granted {
    access_token: SecretString,
    /// Seconds.
    token_ttl: u64,
}

/// Why there is no new token. Says nothing of what was sent.
#[derive(Debug, thiserror::Error)]
enum LoginError {
    #[error("it has no server")]
    NoServer,
    #[error(transparent)]
    Unanswered(#[from] HttpCallError),
    #[error("Nacos answered {0}")]
    Refused(StatusCode),
    #[error("Nacos answered something that is no token")]
    Unreadable,
}

impl Login {
    /// None where nobody is to log in.
    pub(super) fn new(config: &NacosConfig, tls: ClientConfig) -> Option<Self> {
        let (username, password) = config.username.clone().zip(config.password.clone())?;
        let scheme = if config.tls { "https" } else { "http" };
        let limits = HttpClientLimits { timeout: config.request_timeout, longest_answer: LONGEST_ANSWER };
        Some(Self {
            username,
            password,
            servers: config.servers().map(|server| format!("{scheme}://{server}")).collect(),
            client: HttpClient::with_tls(limits, tls),
            session: Mutex::default(),
        })
    }

    /// Something was refused, perhaps because a server has forgotten the token: the next time it is asked to, it logs in
    /// again.
    pub(super) fn doubt(&self) {
        if let Some(session) = &mut *self.session.lock().unwrap_or_else(PoisonError::into_inner) {
            session.renew_at = Instant::now();
        }
    }

    fn is_fresh(&self) -> bool {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        session.as_ref().is_some_and(|session| Instant::now() < session.renew_at)
    }

    /// Logs in at the first server that says yes.
    async fn renew(&self) {
        let mut outcome = Err(LoginError::NoServer);
        for server in &self.servers {
            outcome = self.log_in(server).await;
            if outcome.is_ok() {
                break;
            }
        }
        match outcome {
            Ok(granted) => {
                let renew_at = Instant::now() + Duration::from_secs(granted.token_ttl) / 2;
                let session = Session { token: granted.access_token, renew_at };
                *self.session.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
            }
            // An old token is kept: it may well still be good.
            Err(error) => tracing::warn!(username = self.username, %error, "the login to Nacos failed"),
        }
    }

    async fn log_in(&self, server: &str) -> Result<Granted, LoginError> {
        let mut refused = LoginError::NoServer;
        for path in PATHS {
            match self.log_in_at(server, path).await {
                Err(error @ LoginError::Refused(StatusCode::NOT_FOUND | StatusCode::GONE)) => refused = error,
                outcome => return outcome,
            }
        }
        Err(refused)
    }

    async fn log_in_at(&self, server: &str, path: &str) -> Result<Granted, LoginError> {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("username", &self.username)
            .append_pair("password", self.password.expose())
            .finish();
        let request = Request::post(format!("{server}{path}"))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Bytes::from(form))
            .map_err(HttpCallError::Request)?;
        let answer = self.client.send(request).await?;
        if !answer.status().is_success() {
            return Err(LoginError::Refused(answer.status()));
        }
        serde_json::from_slice(answer.body()).map_err(|_| LoginError::Unreadable)
    }
}

impl AuthPlugin for Login {
    fn login<'a, 'b>(&'a self, _: Arc<Vec<String>>, _: Arc<AuthContext>) -> BoxFuture<'b, ()>
    where
        'a: 'b,
        Self: 'b,
    {
        async move {
            if !self.is_fresh() {
                self.renew().await;
            }
        }
        .boxed()
    }

    fn get_login_identity(&self, _: RequestResource) -> LoginIdentityContext {
        let identity = LoginIdentityContext::default();
        match &*self.session.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(session) => identity.add_context("accessToken", session.token.expose_secret()),
            None => identity,
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("username", &self.username).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use rustls::RootCertStore;

    use super::*;
    use crate::{lifecycle::RequestTasks, tls};

    /// A server that grants a token for the right form at `path`, and knows no other path. Answers its address and how
    /// often it has granted one.
    async fn server(path: &'static str) -> (String, Arc<Mutex<usize>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let granted = Arc::new(Mutex::new(0));
        let count = Arc::clone(&granted);
        RequestTasks::default().spawn_in_context(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let mut request = String::new();
                let mut part = [0; 1024];
                while !request.ends_with("password=p%26ss+word") {
                    let length = connection.read(&mut part).await.expect("a request");
                    request.push_str(std::str::from_utf8(&part[..length]).expect("text"));
                }
                let is_right = request.starts_with(&format!("POST {path} ")) && request.contains("username=ann&");
                let answer = if is_right {
                    *count.lock().unwrap() += 1;
                    let body = r#"{"accessToken":"the-token","tokenTtl":1000,"globalAdmin":false}"#;
                    format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
                } else {
                    "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".to_owned()
                };
                connection.write_all(answer.as_bytes()).await.expect("loopback");
            }
        });
        (address, granted)
    }

    fn login(servers: &[&str]) -> Login {
        let config = NacosConfig {
            server: servers.join(","),
            username: Some("ann".to_owned()),
            password: Some(Secret::new("p&ss word")),
            ..NacosConfig::default()
        };
        Login::new(&config, tls::client_config(RootCertStore::empty()).expect("defaults")).expect("somebody logs in")
    }

    /// As the client library asks for it, which may know other servers.
    async fn ask(login: &Login) {
        login.login(Arc::default(), Arc::default()).await;
    }

    fn token(login: &Login) -> Option<String> {
        login.session.lock().unwrap().as_ref().map(|session| session.token.expose_secret().to_owned())
    }

    #[tokio::test]
    async fn one_logs_in_where_either_generation_of_servers_has_it_and_only_when_it_is_due() {
        for path in PATHS {
            let (address, granted) = server(path).await;
            let login = login(&["127.0.0.1:1", &address]);
            ask(&login).await;
            ask(&login).await;
            assert_eq!(token(&login).as_deref(), Some("the-token"), "{path}");
            assert_eq!(*granted.lock().unwrap(), 1, "{path}");
        }
    }

    #[tokio::test]
    async fn a_token_that_is_in_doubt_is_replaced() {
        let (address, granted) = server(PATHS[0]).await;
        let login = login(&[&address]);
        ask(&login).await;
        login.doubt();
        ask(&login).await;
        assert_eq!(*granted.lock().unwrap(), 2);
    }

    #[tokio::test]
    async fn a_login_that_fails_keeps_the_token_there_is() {
        let login = login(&["127.0.0.1:1"]);
        *login.session.lock().unwrap() =
            Some(Session { token: SecretString::from("old".to_owned()), renew_at: Instant::now() });
        ask(&login).await;
        assert_eq!(token(&login).as_deref(), Some("old"));
    }
}
