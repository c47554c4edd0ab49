//! [`NewEvent`]: one event before it is written.

use serde::Serialize;
use uuid::Uuid;

use super::EventTable;
use crate::{
    clock::Timestamp,
    sql::{Query, Sql, SqlError, Tx},
};

/// An event, finished: whoever reads it later finds what was known when it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    at: Timestamp,
    /// A JSON object.
    body: String,
}

/// What every event has, and what its kind adds.
#[derive(Serialize)]
struct Body<'a, F> {
    event_id: &'a str,
    kind: &'a str,
    at: i64,
    #[serde(flatten)]
    facts: F,
}

impl NewEvent {
    /// `None` if `facts` are no object.
    pub(super) fn new(id: Uuid, kind: &'static str, at: Timestamp, facts: impl Serialize) -> Option<Self> {
        let id = id.hyphenated().to_string();
        let body = Body { event_id: &id, kind, at: at.as_millis(), facts };
        Some(Self { at, body: serde_json::to_string(&body).ok()? })
    }

    /// The JSON object.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// Binds the values of its row, in the order of [`EventTable::row`](super::EventTable::row).
    pub fn bind<'q>(&'q self, query: Query<'q>) -> Query<'q> {
        query.bind(self.at.as_millis()).bind(&*self.body)
    }

    /// Writes it: it is there if and only if what the transaction changes is.
    pub async fn insert(&self, tx: &mut Tx, table: &EventTable) -> Result<(), SqlError> {
        self.bind(tx.sql(Sql::repeated(table.insert, table.row, 1, ""))).execute().await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_event_is_one_object_of_what_all_have_and_what_its_kind_adds() {
        #[derive(Serialize)]
        struct Facts {
            account_id: i64,
            #[serde(skip_serializing_if = "Option::is_none")]
            channel: Option<&'static str>,
        }
        let facts = Facts { account_id: 7, channel: None };
        let event = NewEvent::new(Uuid::nil(), "account.login", Timestamp::from_millis(5), facts).expect("an object");
        let id = "00000000-0000-0000-0000-000000000000";
        let expected = json!({ "event_id": id, "kind": "account.login", "at": 5, "account_id": 7 });
        assert_eq!(serde_json::from_str::<Value>(event.body()).expect("JSON"), expected);
        assert_eq!(NewEvent::new(Uuid::nil(), "x", Timestamp::from_millis(5), "no object"), None);
    }
}
