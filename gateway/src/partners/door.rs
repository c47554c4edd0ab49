//! From a request to a partner's events: who pushes, and what.

use std::sync::Arc;

use bytes::Bytes;
use common::{clock::Timestamp, error_code::PublicError, governance::limits::Limits, http::UnreadRequest};
use http::{HeaderMap, header::CONTENT_LENGTH, request::Parts};
use volo::FastStr;

use super::{
    Partner, PartnerDirectory,
    signing::Md5Over,
    store::{Encoding, EventStore, Room},
};

/// What the endpoints of partners share.
#[derive(Debug)]
pub(crate) struct PartnerDoor {
    pub(crate) partners: PartnerDirectory,
    pub(crate) events: EventStore,
    pub(crate) limits: Limits,
}

/// A request that is a partner's own, read.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) partner: Arc<Partner>,
    pub(crate) head: Parts,
    /// As it was sent: an encoded one is still encoded.
    pub(crate) body: Bytes,
    /// Held for as long as the body is.
    _room: Room,
}

impl PartnerDoor {
    /// Reads a request and finds out whether it is the partner's. What the head says is looked at before the body is read.
    pub(crate) async fn admit(
        &self,
        name: &FastStr,
        UnreadRequest { head, body }: UnreadRequest,
        encoding: Encoding,
        md5_over: Md5Over,
        now: Timestamp,
    ) -> Result<Admitted, PublicError> {
        let found = self.partners.find(name, &head, md5_over, now).await?;
        let room = self.events.room_for(declared_length(&head.headers), encoding)?;
        let body = body.read_as_sent().await?;
        let partner = self.partners.check((name, found), &head, &body, md5_over, now).await?;
        // Of all gateways together, in requests. How many events and bytes may come is the store's to say, at each of them.
        self.limits.partner(name).await?;
        Ok(Admitted { partner, head, body, _room: room })
    }
}

/// How long a body says to be; one without a length and without chunks has none.
fn declared_length(headers: &HeaderMap) -> Option<u64> {
    match headers.get(CONTENT_LENGTH) {
        Some(length) => length.to_str().ok()?.parse().ok(),
        None if headers.contains_key(http::header::TRANSFER_ENCODING) => None,
        None => Some(0),
    }
}
