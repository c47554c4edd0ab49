//! An operator who publishes settings, and what games see of them.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Admin, Answer, Client, Platform, eventually};

/// An app's settings as an operator has them in hand.
#[derive(Clone)]
pub(crate) struct Publisher {
    admin: Admin,
    app_id: i64,
}

impl Publisher {
    fn path(&self, below: &str) -> String {
        format!("/admin/v1/apps/{}/settings{below}", self.app_id)
    }

    /// Looks at something beneath the settings: a path and a query, or nothing.
    pub(crate) async fn get(&self, below: &str) -> Answer {
        self.admin.get(&self.path(below)).await
    }

    /// Asks for something beneath the settings.
    pub(crate) async fn post(&self, below: &str, body: &Value) -> Answer {
        self.admin.post(&self.path(below), body).await
    }

    /// The current revision.
    pub(crate) async fn revision(&self) -> i64 {
        self.get("").await.ok()["revision"].as_i64().expect("a revision")
    }

    /// Tries to publish on a revision.
    pub(crate) async fn try_publish(&self, base_revision: i64, document: &Value) -> Answer {
        let body = json!({ "base_revision": base_revision, "document": document, "note": "a story" });
        self.post("", &body).await
    }

    /// Publishes on what is current, and answers the revision.
    pub(crate) async fn publish(&self, document: &Value) -> i64 {
        published(&self.try_publish(self.revision().await, document).await)
    }

    /// Publishes an earlier version again, whatever is current, and answers the revision.
    pub(crate) async fn roll_back(&self, to_version: i64) -> i64 {
        published(&self.post("/rollback", &json!({ "to_version": to_version, "note": "a story" })).await)
    }
}

#[track_caller]
fn published(answer: &Answer) -> i64 {
    let data = answer.ok();
    assert_eq!((&data["version"], &data["degraded"]), (&data["revision"], &json!([])), "{answer:?}");
    assert!(data["published_at"].as_i64().is_some_and(|at| at > 1_700_000_000_000), "{answer:?}");
    data["revision"].as_i64().expect("a revision")
}

impl Platform {
    /// The settings of [`app`](Self::app), for their operator.
    pub(crate) fn publisher(&self) -> Publisher {
        Publisher { admin: self.admin(), app_id: self.app().app_id }
    }

    /// The public listener of every process that has one.
    pub(crate) fn fronts(&self) -> Vec<Client> {
        let fronts = self.replicas().into_iter().filter(|replica| replica.role == self.front());
        fronts.map(|front| self.client_of(front)).collect()
    }

    /// Publishes settings of [`app`](Self::app) and waits until they are answered everywhere.
    pub(crate) async fn publish(&self, document: &Value) -> i64 {
        let revision = self.publisher().publish(document).await;
        self.is_answered_everywhere(revision).await;
        revision
    }

    /// Waits until every gateway answers a revision.
    pub(crate) async fn is_answered_everywhere(&self, revision: i64) {
        for front in self.fronts() {
            eventually("the gateway answers what was published", || async {
                (self.settings_at(&front, "").await.ok()["revision"] == revision).then_some(())
            })
            .await;
        }
    }

    /// What a game is answered; `query` follows the app, such as `&channel=huawei`.
    pub(crate) async fn settings(&self, query: &str) -> Answer {
        self.settings_at(self.client(), query).await
    }

    /// The same of one gateway.
    pub(crate) async fn settings_at(&self, front: &Client, query: &str) -> Answer {
        front.get(&self.settings_path(query)).await
    }

    /// The same of a game that has an answer already.
    pub(crate) async fn settings_unless(&self, entity_tag: &str, query: &str) -> Answer {
        let request = self.client().request(Method::GET, &self.settings_path(query));
        self.client().send(request.header("if-none-match", entity_tag)).await
    }

    fn settings_path(&self, query: &str) -> String {
        format!("/v1/sdk/settings?app_id={}{query}", self.app().app_id)
    }
}
