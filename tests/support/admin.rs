//! An operator with the admin token.

use std::{fs, path::Path};

use reqwest::Method;
use serde_json::{Value, json};

use super::{Answer, Client};

/// Speaks to the admin API of one process.
#[derive(Clone)]
pub(crate) struct Admin {
    client: Client,
    token: String,
}

impl Admin {
    /// With the token that the process made for itself in this directory.
    pub(crate) fn with_token_of(client: Client, data_dir: &Path) -> Self {
        let token = fs::read_to_string(data_dir.join("admin-token")).expect("a token was made");
        Self { client, token: token.trim().to_owned() }
    }

    /// The token, for stories that look for it where it must not be.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    pub(crate) async fn get(&self, path_and_query: &str) -> Answer {
        self.send(Method::GET, path_and_query, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PATCH, path, Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PUT, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    /// Changes the policy of an app, and expects it to be changed.
    pub(crate) async fn set_policy(&self, app_id: i64, policy: &Value) -> Value {
        self.patch(&format!("/admin/v1/apps/{app_id}"), &json!({ "policy": policy })).await.ok()
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let request = self.client.request(method, path).bearer_auth(&self.token);
        let answer = self.client.send(if let Some(body) = body { request.json(body) } else { request }).await;
        answer.keeps_the_conventions();
        answer.keeps_the_envelope();
        answer
    }
}
