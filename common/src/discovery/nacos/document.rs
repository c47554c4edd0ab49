//! Documents that operators publish in Nacos.
//!
//! They are asked for again and again, and no listener is added: with a listener the client library answers every
//! question from a cache that is brought up to date only once a minute after an outage, and it does not hear of a
//! document that did not exist when the listener was added. Asking costs one small request per interval and is late by
//! no more than that.

use std::sync::Arc;

use futures_util::{FutureExt, future::BoxFuture};
use nacos_sdk::api::error::Error as SdkError;

use super::client::{Inner, Nacos, Unanswered};
use crate::config::watch::{DocumentError, DocumentSource};

/// One document: a data id in the configured group.
#[derive(Clone)]
pub struct NacosDocument {
    nacos: Arc<Inner>,
    data_id: String,
}

impl Nacos {
    /// The document with this data id.
    pub fn document(&self, data_id: impl Into<String>) -> NacosDocument {
        NacosDocument { nacos: Arc::clone(&self.0), data_id: data_id.into() }
    }
}

impl DocumentSource for NacosDocument {
    fn read(&self) -> BoxFuture<'_, Result<Option<String>, DocumentError>> {
        async move {
            let documents = self.nacos.documents().await;
            let question = documents.get_config(self.data_id.clone(), self.nacos.config.group.clone());
            match self.nacos.documents.ask(question).await {
                Ok(document) => Ok(Some(document.content().clone())),
                Err(Unanswered::Failed(SdkError::ConfigNotFound(_))) => Ok(None),
                Err(error) => Err(DocumentError::new(error)),
            }
        }
        .boxed()
    }
}

impl std::fmt::Debug for NacosDocument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NacosDocument").field("data_id", &self.data_id).finish_non_exhaustive()
    }
}
