//! What an app allows its players.

use std::time::Duration;

use super::ids::AppId;

/// An app as the service knows it.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) app_id: AppId,
    pub(crate) name: String,
    /// A disabled app signs nobody in and has no signatures accepted.
    pub(crate) enabled: bool,
    pub(crate) policy: Policy,
    /// One or two live secrets, newest first.
    pub(crate) secrets: Vec<AppSecret>,
}

/// The rules an app sets for its own players; what it leaves open comes from the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) password_login: bool,
    pub(crate) device_login: bool,
    /// How long an access token lives, before jitter.
    pub(crate) access_ttl: Option<Duration>,
    /// How long a session lives without being used.
    pub(crate) refresh_ttl: Option<Duration>,
}

/// Signs what passes between a game server and the platform: 64 hex digits, used as they are written.
#[derive(Clone, Debug)]
pub(crate) struct AppSecret(secrecy::SecretString);

impl AppSecret {
    pub(crate) fn new(text: String) -> Self {
        Self(text.into())
    }

    pub(crate) fn expose(&self) -> &str {
        secrecy::ExposeSecret::expose_secret(&self.0)
    }
}
