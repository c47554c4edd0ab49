//! A player with a game client in hand.

use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Client};

/// Long enough for every rule, and nobody's.
const PASSWORD: &str = "correct horse battery staple";

/// A signed-in session's tokens.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Tokens {
    pub(crate) account_id: i64,
    pub(crate) session_id: String,
    pub(crate) access_token: String,
    pub(crate) access_expires_at: i64,
    pub(crate) refresh_token: String,
    pub(crate) refresh_expires_at: i64,
    /// Only of an app that wants one.
    #[serde(default)]
    pub(crate) id_token: Option<String>,
}

/// Somebody with a username and password, in one session.
#[derive(Clone, Debug)]
pub(crate) struct Player {
    client: Client,
    app_id: i64,
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) tokens: Tokens,
    /// The whole `data` of the answer the session began with.
    pub(crate) welcome: Value,
}

impl Player {
    /// Creates an account and expects it to be created.
    pub(crate) async fn register(client: &Client, app_id: i64, username: &str) -> Self {
        let answer = Self::try_register(client, app_id, username).await;
        let player = Self::from_answer(client.clone(), app_id, username, &answer);
        assert_eq!(player.welcome["is_new_account"], true, "{answer:?}");
        player
    }

    /// Asks for an account.
    pub(crate) async fn try_register(client: &Client, app_id: i64, username: &str) -> Answer {
        let body = json!({ "app_id": app_id, "username": username, "password": PASSWORD });
        client.post("/v1/sdk/register", &body).await
    }

    /// Signs in once more: another session of the same account.
    pub(crate) async fn login(&self) -> Self {
        let answer = self.try_login().await;
        let player = Self::from_answer(self.client.clone(), self.app_id, &self.username, &answer);
        assert_eq!(player.tokens.account_id, self.tokens.account_id, "{answer:?}");
        assert_eq!(player.welcome["is_new_account"], false, "{answer:?}");
        player
    }

    /// Asks to sign in.
    pub(crate) async fn try_login(&self) -> Answer {
        self.try_login_with(json!({})).await
    }

    /// Asks to sign in with further or other fields.
    pub(crate) async fn try_login_with(&self, fields: Value) -> Answer {
        let mut body = self.login_body();
        if let (Value::Object(body), Value::Object(fields)) = (&mut body, fields) {
            body.extend(fields);
        }
        self.client.post("/v1/sdk/login", &body).await
    }

    /// The request to sign in.
    pub(crate) fn login_request(&self) -> RequestBuilder {
        self.client.request(Method::POST, "/v1/sdk/login").json(&self.login_body())
    }

    /// Presents this session's refresh token.
    pub(crate) async fn refresh(&self) -> Answer {
        self.refresh_with(&self.tokens.refresh_token).await
    }

    /// Presents a refresh token.
    pub(crate) async fn refresh_with(&self, refresh_token: &str) -> Answer {
        self.client.send(self.refresh_request(refresh_token)).await
    }

    /// The request that presents a refresh token.
    pub(crate) fn refresh_request(&self, refresh_token: &str) -> RequestBuilder {
        let body = json!({ "app_id": self.app_id, "refresh_token": refresh_token });
        self.client.request(Method::POST, "/v1/sdk/refresh").json(&body)
    }

    /// Signs this session out.
    pub(crate) async fn logout(&self) -> Answer {
        self.send(Method::POST, "/v1/sdk/logout", json!({})).await
    }

    /// Signs every session of the account out.
    pub(crate) async fn logout_everywhere(&self) -> Answer {
        self.send(Method::POST, "/v1/sdk/logout", json!({ "everywhere": true })).await
    }

    /// The player's own view.
    pub(crate) async fn me(&self) -> Answer {
        self.client.send(self.client.request(Method::GET, "/v1/sdk/me").bearer_auth(&self.tokens.access_token)).await
    }

    /// What happened to the account; `page` is a query or nothing.
    pub(crate) async fn history(&self, page: &str) -> Answer {
        let path = format!("/v1/sdk/history{page}");
        self.client.send(self.client.request(Method::GET, &path).bearer_auth(&self.tokens.access_token)).await
    }

    /// Asks for one more way to sign in.
    pub(crate) async fn link(&self, body: Value) -> Answer {
        self.send(Method::POST, "/v1/sdk/link", body).await
    }

    /// Asks for another password.
    pub(crate) async fn change_password(&self, body: Value) -> Answer {
        self.send(Method::POST, "/v1/sdk/password", body).await
    }

    /// Asks to be deleted.
    pub(crate) async fn request_deletion(&self) -> Answer {
        self.send(Method::POST, "/v1/sdk/deletion", json!({})).await
    }

    /// Asks not to be deleted after all.
    pub(crate) async fn cancel_deletion(&self) -> Answer {
        self.send(Method::DELETE, "/v1/sdk/deletion", json!({})).await
    }

    /// Signs one device out.
    pub(crate) async fn end_session(&self, session_id: &str) -> Answer {
        self.send(Method::DELETE, &format!("/v1/sdk/sessions/{session_id}"), json!({})).await
    }

    /// Signs every other device out.
    pub(crate) async fn end_other_sessions(&self) -> Answer {
        self.send(Method::DELETE, "/v1/sdk/sessions", json!({})).await
    }

    async fn send(&self, method: Method, path: &str, body: Value) -> Answer {
        let request = self.client.request(method, path).bearer_auth(&self.tokens.access_token).json(&body);
        self.client.send(request).await
    }

    fn login_body(&self) -> Value {
        json!({ "app_id": self.app_id, "kind": "password", "username": self.username, "password": self.password })
    }

    #[track_caller]
    pub(crate) fn from_answer(client: Client, app_id: i64, username: &str, answer: &Answer) -> Self {
        Self {
            client,
            app_id,
            username: username.to_owned(),
            password: PASSWORD.to_owned(),
            tokens: answer.ok_as(),
            welcome: answer.ok(),
        }
    }
}
