//! `AdminListDeadLetters`: the orders of an app that nobody delivers any more.

use common::clock::Timestamp;
use idl::pay_admin::{self as idl_admin, ListDeadLettersRequest, ListDeadLettersResponse};

use crate::{
    domain::{FieldError, OrderId},
    error::OrderError,
    rpc::wire,
    service::Parts,
    store::dead_letters::{Behind, DeadLetter},
};

/// Dead letters on a page.
const MOST: u32 = 200;

pub(crate) async fn list_dead_letters(
    parts: &Parts,
    request: ListDeadLettersRequest,
) -> Result<ListDeadLettersResponse, OrderError> {
    let app_id = wire::app_id(request.app_id)?;
    let limit = wire::limit(request.limit, MOST)?;
    let behind = request.cursor.map(|cursor| parse(&cursor)).transpose()?;
    let found = parts.orders.dead_letters(Some(app_id), behind, limit + 1).await?;
    let (page, more) = wire::page(found, limit);
    let next = page.last().filter(|_| more).map(|last| format!("{}-{}", last.given_up_at, last.order_id).into());
    Ok(ListDeadLettersResponse { dead_letters: page.into_iter().map(shown).collect(), next })
}

/// When the last one of the page before was given up, and its number.
fn parse(cursor: &str) -> Result<Behind, FieldError> {
    let parts =
        cursor.split_once('-').and_then(|(at, order_id)| Some((at.parse().ok()?, OrderId::parse(order_id).ok()?)));
    let (at, order_id) = parts.ok_or_else(|| FieldError::new("cursor", "must be the `next` of a page"))?;
    Ok(Behind { given_up_at: Timestamp::from_millis(at), order_id })
}

fn shown(letter: DeadLetter) -> idl_admin::DeadLetter {
    let (last_outcome, last_status, last_detail) = match letter.last {
        Some(last) => (Some(last.outcome.into()), last.status, Some(last.detail.into())),
        None => (None, None, None),
    };
    idl_admin::DeadLetter {
        order_id: letter.order_id.to_string().into(),
        account_id: letter.account_id,
        product_id: letter.product_id.into(),
        amount: letter.price.amount(),
        currency: letter.price.currency().to_string().into(),
        state: letter.state.as_str().into(),
        paid_at: letter.paid_at.map(Timestamp::as_millis),
        attempts: letter.attempts,
        given_up_at: letter.given_up_at.as_millis(),
        last_outcome,
        last_status,
        last_detail,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use common::error_code::{ErrorCode, PublicError};
    use idl::{
        pay::PayService,
        pay_admin::{ListDeadLettersRequest, ListDeadLettersResponse},
    };

    use crate::testing::{APP, Answering, GameServer, OTHER_APP, Service, impatient, public, refusal};

    async fn page(
        service: &Service,
        app_id: i64,
        cursor: Option<&str>,
        limit: i32,
    ) -> Result<ListDeadLettersResponse, PublicError> {
        let cursor = cursor.map(|cursor| cursor.to_owned().into());
        public(service.pay.admin_list_dead_letters(ListDeadLettersRequest { app_id, cursor, limit }).await)
    }

    common::on_each_database! {
        async fn every_dead_letter_is_on_one_page_with_what_the_game_server_said_last(database: TestDatabase) {
            let service = Service::start_with(database, impatient()).await;
            let game = GameServer::start().await;
            game.answer(Answering::With(418, "a teapot".to_owned()));
            service.deliver_to(APP, &game.url());
            let mut orders = BTreeSet::new();
            for number in 0..5 {
                orders.insert(service.paid_order(&format!("k-{number}")).await);
            }
            let mut hands = service.hands();
            hands.deliver().await;
            assert!(page(&service, APP, None, 10).await.expect("a page").dead_letters.is_empty(), "they wait");
            service.clock.advance(std::time::Duration::from_secs(60));
            hands.deliver().await;

            let (mut found, mut cursor) = (Vec::new(), None);
            loop {
                let answer = page(&service, APP, cursor.as_deref(), 2).await.expect("a page");
                assert!(answer.dead_letters.len() <= 2);
                found.extend(answer.dead_letters);
                cursor = answer.next.map(|next| next.to_string());
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(found.len(), 5);
            assert_eq!(found.iter().map(|letter| letter.order_id.to_string()).collect::<BTreeSet<_>>(), orders);
            let letter = &found[0];
            assert_eq!((letter.attempts, &*letter.state, letter.amount), (2, "delivering", 600));
            assert_eq!((letter.last_outcome.as_deref(), letter.last_status), (Some("refused"), Some(418)));
            assert!(page(&service, OTHER_APP, None, 10).await.expect("a page").dead_letters.is_empty());
        }

        async fn a_cursor_that_nobody_gave_is_refused(database: TestDatabase) {
            let service = Service::start(database).await;
            for cursor in ["", "1", "1-", "x-01JXT21Q00C5Z0E8T3Y6A9B2DK", "1-01jx"] {
                let refused = refusal(page(&service, APP, Some(cursor), 1).await);
                assert_eq!(refused, (ErrorCode::INVALID_ARGUMENT, "cursor".to_owned()), "{cursor}");
            }
        }
    }
}
