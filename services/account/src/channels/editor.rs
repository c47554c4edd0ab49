//! How the documents of channels are changed, each change with its record in the audit.

use super::{Channels, known::OpenedChannel};
use crate::{
    app_editor::request_id,
    domain::{
        audit::{Action, Actor, AuditRecord, Details, Target},
        channel::{
            document::{ChannelDocument, DocumentError, LoginRules},
            identity::ChannelName,
            vault::DocumentPlace,
        },
        ids::AppId,
    },
    error::AccountError,
    store::{apps, audit, channels},
};

/// A document as operators see it: without its secrets.
#[derive(Clone, Debug)]
pub(crate) struct ShownChannel {
    pub(crate) channel: ChannelName,
    pub(crate) version: i64,
    pub(crate) updated_at: common::clock::Timestamp,
    /// JSON.
    pub(crate) document: String,
}

impl Channels {
    /// Replaces the document of a channel; answers it as it is now.
    pub(crate) async fn put(
        &self,
        actor: &Actor,
        app_id: AppId,
        channel: &ChannelName,
        json: &str,
    ) -> Result<ShownChannel, AccountError> {
        let database = &self.known.database;
        let shown = database.retrying(|| self.try_put(actor, app_id, channel, json)).await?;
        if let Err(error) = self.refresh().await {
            tracing::warn!(%error, "a changed channel could not be read at once");
        }
        Ok(shown)
    }

    /// The documents of an app, by name.
    pub(crate) async fn of_app(&self, app_id: AppId) -> Result<Vec<ShownChannel>, AccountError> {
        let stored = self.known.store.of_app(app_id).await?;
        stored.into_iter().map(|stored| self.known.open(app_id, stored).map(ShownChannel::from)).collect()
    }

    async fn try_put(
        &self,
        actor: &Actor,
        app_id: AppId,
        channel: &ChannelName,
        json: &str,
    ) -> Result<ShownChannel, AccountError> {
        let (mut tx, now) = (self.known.database.begin().await?, self.outside.clock.now());
        // The app's row is held until the end: two changes of one channel come one after the other.
        apps::find_to_change(&mut tx, app_id).await?.ok_or(AccountError::NoSuchApp)?;
        let stored = channels::find_to_change(&mut tx, app_id).await?;
        let others = stored.len();
        let before = stored.into_iter().find(|stored| stored.channel == *channel);
        if before.is_none() && others >= self.outside.config.per_app.get() as usize {
            return Err(DocumentError::new("channel", "the app has as many channels as it may").into());
        }
        let version = before.as_ref().map_or(1, |before| before.version + 1);
        // What is there and can't be opened is replaced all the same; only its secrets can't be kept.
        let previous = before.and_then(|before| self.known.open(app_id, before).ok());
        let document = self.parse(json, previous.as_ref().map(|previous| &previous.document))?;
        let place = DocumentPlace { app_id, channel, version };
        let sealed = self.known.vault.seal(place, &document.to_json(), &*self.outside.random);
        let row = channels::StoredChannel { channel: channel.clone(), version, sealed, updated_at: now };
        channels::write(&mut tx, app_id, &row).await?;
        audit::append(&mut tx, &record(actor, app_id, channel, version, &document), now).await?;
        tx.commit().await?;
        Ok(OpenedChannel { channel: channel.clone(), version, updated_at: now, document }.into())
    }

    fn parse(&self, json: &str, previous: Option<&ChannelDocument>) -> Result<ChannelDocument, DocumentError> {
        let document = ChannelDocument::parse(json, previous, self.outside.development)?;
        if document.host().is_some_and(|host| !self.outside.guard.permits_host(host)) {
            let path = match document.login {
                Some(LoginRules::Oidc(_)) => "login.jwks_uri",
                Some(LoginRules::SignedHttp(_)) | None => "login.request.url",
            };
            return Err(DocumentError::new(
                path,
                "is an address that may not be called; see account.channels.allowed_networks",
            ));
        }
        Ok(document)
    }
}

impl From<OpenedChannel> for ShownChannel {
    fn from(opened: OpenedChannel) -> Self {
        let OpenedChannel { channel, version, updated_at, document } = opened;
        Self { channel, version, updated_at, document: document.masked() }
    }
}

fn record(
    actor: &Actor,
    app_id: AppId,
    channel: &ChannelName,
    version: i64,
    document: &ChannelDocument,
) -> AuditRecord {
    let kind = match document.login {
        Some(LoginRules::Oidc(_)) => "oidc",
        Some(LoginRules::SignedHttp(_)) => "signed_http",
        None => "none",
    };
    AuditRecord {
        actor: actor.clone(),
        action: Action::of("app.put_channel"),
        target: Target::app(app_id),
        request_id: request_id(),
        details: Details::default().with("channel", channel.as_str()).with("version", version).with("login", kind),
    }
}
