//! The partners as account knows them, and whether a request is theirs.
//!
//! [`signing`] has the rules, [`limits`] what a partner may push, [`store`] what it pushes into, and [`door`] leads there.
//!
//! They are applied in the order of what they cost and what they may reveal: whatever the head says comes before the
//! body is read, and only who signs well is told that a partner is disabled. While account can't be asked, who is known
//! goes on, and who is not is an open question: 503, never 401.

pub(crate) mod door;
mod limits;
pub(crate) mod signing;
pub(crate) mod store;

use std::{fmt, sync::Arc, time::Duration};

use common::{
    clock::Timestamp,
    error_code::{ErrorCode, PublicError},
    http::check_not_made,
    lifecycle::RequestTasks,
};
use http::request::Parts;
use idl::{
    account::AccountServiceClient,
    account_partner::{GetPartnerRequest, PartnerInfo},
};
use ingest::{PartnerLimits, PartnerName};
use volo::FastStr;

use self::signing::{Md5Over, Signing, presents_anything};
use crate::{
    directory::{Ask, Directory, Question},
    upstream::{open_question, within},
};

/// A partner, ready to check requests against.
#[derive(Debug)]
pub(crate) struct Partner {
    pub(crate) name: PartnerName,
    pub(crate) limits: PartnerLimits,
    signing: Signing,
    enabled: bool,
}

/// The directory of partners. Cheap to clone.
#[derive(Clone)]
pub(crate) struct PartnerDirectory(Directory<FastStr, Partner>);

impl fmt::Debug for PartnerDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartnerDirectory").finish_non_exhaustive()
    }
}

impl PartnerDirectory {
    /// A directory of up to `capacity` partners that waits up to `patience` for account.
    pub(crate) fn new(account: AccountServiceClient, patience: Duration, capacity: u64, tasks: RequestTasks) -> Self {
        let ask: Ask<FastStr, Partner> = Arc::new(move |Question { key: partner, read_again }| {
            let account = account.clone();
            Box::pin(async move {
                let request = GetPartnerRequest { partner, read_again: read_again.then_some(true) };
                let answer = within(patience, account.get_partner(request)).await;
                answer.map_err(open_question)?.partner.as_ref().map(Partner::new).transpose()
            })
        });
        Self(Directory::new(ask, capacity, tasks))
    }

    /// The partner of this name, if nothing in the head of the request speaks against it.
    pub(crate) async fn find(
        &self,
        name: &FastStr,
        head: &Parts,
        md5_over: Md5Over,
        now: Timestamp,
    ) -> Result<Arc<Partner>, PublicError> {
        let found = if is_a_name(name) { self.0.get(name).await.map_err(check_not_made)? } else { None };
        let Some(partner) = found else {
            // Not "no such partner": a stranger learns nothing about which there are.
            let code = if presents_anything(head) { ErrorCode::BAD_SIGNATURE } else { ErrorCode::MISSING_CREDENTIALS };
            return Err(PublicError::new(code));
        };
        partner.signing.look_at_head(name, head, md5_over, now)?;
        Ok(partner)
    }

    /// The partner as it is known by then, if the request with that body is its own and it may push.
    pub(crate) async fn check(
        &self,
        (name, mut partner): (&FastStr, Arc<Partner>),
        head: &Parts,
        body: &[u8],
        md5_over: Md5Over,
        now: Timestamp,
    ) -> Result<Arc<Partner>, PublicError> {
        if !partner.signing.is_by_the_partner(head, body, md5_over, now)? {
            // Boxed: nearly every request ends above or below, and would carry the room for this.
            let newest = Box::pin(self.0.after_a_mismatch(name)).await.map_err(check_not_made)?;
            match newest {
                Some(newest) if newest.signing.is_by_the_partner(head, body, md5_over, now)? => partner = newest,
                _ => return Err(PublicError::new(ErrorCode::BAD_SIGNATURE)),
            }
        }
        if !partner.enabled {
            return Err(PublicError::new(ErrorCode::PARTNER_DISABLED));
        }
        Ok(partner)
    }
}

impl Partner {
    /// An error: account has one that this version can't make sense of.
    fn new(info: &PartnerInfo) -> Result<Self, PublicError> {
        let Ok(name) = PartnerName::parse(&info.partner) else {
            tracing::error!(partner = %info.partner, "a partner's name can't be used");
            return Err(PublicError::internal());
        };
        Ok(Self {
            signing: Signing::new(&info.signing, &info.secrets),
            name,
            limits: limits::of(&info.limits),
            enabled: info.enabled,
        })
    }
}

/// Whether there can be a partner of that name. What can't be one is not worth a question, nor a place in memory.
fn is_a_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    (1..=64).contains(&name.len()) && name.bytes().all(plain)
}

#[cfg(test)]
mod tests;
