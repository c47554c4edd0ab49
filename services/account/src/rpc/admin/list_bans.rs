//! `AdminListBans`: the devices and parts of the network that are banned, in pages.

use common::clock::Timestamp;
use idl::account_admin::{ListBansRequest, ListBansResponse, SubjectBanDetails};

use super::wire::{cut_to_page, page_and_one};
use crate::{error::AccountError, service::Parts, store::subject_bans::ListedBan};

pub(crate) async fn list_bans(parts: &Parts, request: ListBansRequest) -> Result<ListBansResponse, AccountError> {
    let limit = page_and_one(request.limit)?;
    let mut found = parts.risk.banned.store.list(request.after.unwrap_or(0), parts.clock.now(), limit).await?;
    let more = cut_to_page(&mut found, limit);
    Ok(ListBansResponse { bans: found.into_iter().map(details).collect(), more })
}

fn details(listed: ListedBan) -> SubjectBanDetails {
    SubjectBanDetails {
        ban_id: listed.ban_id,
        kind: listed.kind.into(),
        subject: listed.shown.into(),
        reason: listed.ban.reason,
        note: listed.note.map(Into::into),
        banned_at: listed.banned_at.as_millis(),
        until: listed.ban.until.map(Timestamp::as_millis),
    }
}
