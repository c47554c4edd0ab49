//! `SpendWallet`: a game server spends from a player's wallet, once for each key of the app.

use idl::pay::{SpendWalletRequest, SpendWalletResponse};

use crate::{
    domain::{Currency, FieldError, IdempotencyKey, Money, Spend},
    error::SpendError,
    store::Ledger,
};

pub(crate) async fn spend_wallet(
    ledger: &Ledger,
    request: SpendWalletRequest,
) -> Result<SpendWalletResponse, SpendError> {
    let key = IdempotencyKey::parse(&request.idempotency_key)
        .map_err(|error| FieldError::new("Idempotency-Key", error.to_string()))?;
    let spend = parse(&request)?;
    let spent = ledger.spend(&spend, &key).await?;
    Ok(SpendWalletResponse {
        transaction_id: spent.transaction_id.to_string().into(),
        currency: request.currency,
        balance: spent.balance,
    })
}

fn parse(request: &SpendWalletRequest) -> Result<Spend, FieldError> {
    let currency =
        Currency::parse(&request.currency).map_err(|error| FieldError::new("currency", error.to_string()))?;
    let amount = Money::new(request.amount, currency).map_err(|error| FieldError::new("amount", error.to_string()))?;
    Spend::new(request.app_id, request.account_id, amount, request.reason.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use common::error_code::{ErrorCode, PublicError};
    use idl::pay::{PayService, SpendWalletRequest, SpendWalletResponse};
    use tokio::task::JoinSet;

    use crate::{
        Pay,
        testing::{APP, OTHER_APP, PLAYER, Service, public, refusal},
    };

    fn request(key: &str, amount: i64) -> SpendWalletRequest {
        SpendWalletRequest {
            app_id: APP,
            account_id: PLAYER,
            currency: "CNY".into(),
            amount,
            reason: Some("a sword".into()),
            idempotency_key: key.to_owned().into(),
        }
    }

    async fn spend(pay: &Pay, request: SpendWalletRequest) -> Result<SpendWalletResponse, PublicError> {
        public(pay.spend_wallet(request).await)
    }

    common::on_each_database! {
        async fn what_is_spent_leaves_the_wallet_once_and_a_repetition_is_answered_the_same(database: TestDatabase) {
            let service = Service::start(database).await;
            service.paid_order("k-1").await;
            let first = spend(&service.pay, request("s-1", 250)).await.expect("spent");
            assert_eq!((&*first.currency, first.balance, service.wallet().await), ("CNY", 350, 350));
            assert_eq!(spend(&service.pay, request("s-2", 50)).await.expect("spent").balance, 300);
            // As it was then, whatever has become of the wallet since.
            assert_eq!(spend(&service.pay, request("s-1", 250)).await.expect("the same"), first);
            assert_eq!(service.wallet().await, 300);
            let mut others = [request("s-1", 251), request("s-1", 250), request("s-1", 250), request("s-1", 250)];
            (others[1].currency, others[2].account_id, others[3].reason) = ("USD".into(), PLAYER + 1, None);
            for other in others {
                assert_eq!(refusal(spend(&service.pay, other).await).0, ErrorCode::IDEMPOTENCY_KEY_REUSED);
            }
            // Another app's key is another key, and its wallets are others.
            let elsewhere = spend(&service.pay, SpendWalletRequest { app_id: OTHER_APP, ..request("s-1", 250) }).await;
            assert_eq!(refusal(elsewhere).0, ErrorCode::INSUFFICIENT_BALANCE);
            service.books_balance().await;
        }

        async fn what_is_not_there_can_not_be_spent_and_the_refusal_can_be_tried_again(database: TestDatabase) {
            let service = Service::start(database).await;
            service.paid_order("k-1").await;
            for _ in 0..2 {
                let refused = spend(&service.pay, request("s-1", 601)).await;
                assert_eq!(refusal(refused), (ErrorCode::INSUFFICIENT_BALANCE, "amount".to_owned()));
            }
            service.paid_order("k-2").await;
            assert_eq!(spend(&service.pay, request("s-1", 601)).await.expect("spent").balance, 599);
            let in_dollars = SpendWalletRequest { currency: "USD".into(), ..request("s-2", 1) };
            assert_eq!(refusal(spend(&service.pay, in_dollars).await).0, ErrorCode::INSUFFICIENT_BALANCE);
            service.books_balance().await;
        }

        async fn what_can_not_be_is_refused_by_field(database: TestDatabase) {
            let service = Service::start(database).await;
            let good = || request("s-1", 1);
            for (bad, field) in [
                (SpendWalletRequest { amount: 0, ..good() }, "amount"),
                (SpendWalletRequest { amount: -5, ..good() }, "amount"),
                (SpendWalletRequest { amount: i64::MIN, ..good() }, "amount"),
                (SpendWalletRequest { currency: "yuan".into(), ..good() }, "currency"),
                (SpendWalletRequest { account_id: 0, ..good() }, "account_id"),
                (SpendWalletRequest { reason: Some("x".repeat(256).into()), ..good() }, "reason"),
                (SpendWalletRequest { idempotency_key: "a b".into(), ..good() }, "Idempotency-Key"),
            ] {
                assert_eq!(refusal(spend(&service.pay, bad).await), (ErrorCode::INVALID_ARGUMENT, field.to_owned()));
            }
            service.database.close().await;
            assert_eq!(refusal(spend(&service.pay, good()).await).0, ErrorCode::DEPENDENCY_UNAVAILABLE);
        }

        async fn spends_that_race_through_two_replicas_never_overdraw_the_wallet(database: TestDatabase) {
            let service = Service::start(database).await;
            let replica = service.replica().await;
            service.paid_order("k-1").await;
            let mut spends = JoinSet::new();
            for number in 0..40 {
                let pay = if number % 2 == 0 { service.pay.clone() } else { replica.clone() };
                // Every key twice: 20 spends of 50, of which the wallet holds 12.
                spends.spawn(async move {
                    loop {
                        match spend(&pay, request(&format!("s-{}", number / 2), 50)).await {
                            Err(error) if error.code.inner() / 10_000 == 503 => {}
                            answer => return (number / 2, answer.map(|spent| spent.transaction_id)),
                        }
                    }
                });
            }
            let mut answers = spends.join_all().await;
            answers.sort_by_key(|(number, _)| *number);
            for pair in answers.chunks(2) {
                let refused = pair.iter().filter(|(_, answer)| answer.is_err()).count();
                assert!(refused != 1, "a key is spent or not: {pair:?}");
                if refused == 0 {
                    assert_eq!(pair[0].1, pair[1].1, "both of a key are one");
                }
            }
            let codes = answers.iter().filter_map(|(_, answer)| answer.as_ref().err()).map(|error| error.code);
            assert!(codes.clone().all(|code| code == ErrorCode::INSUFFICIENT_BALANCE));
            assert_eq!((answers.len() - codes.count(), service.wallet().await), (24, 0));
            assert_eq!(service.count("SELECT COUNT(*) FROM pay_wallet_spends").await, 12);
            service.books_balance().await;
        }

        async fn requests_with_one_key_that_come_at_once_are_one_spend(database: TestDatabase) {
            let service = Service::start(database).await;
            let replica = service.replica().await;
            service.paid_order("k-1").await;
            let mut spends = JoinSet::new();
            for number in 0..20 {
                let pay = if number % 2 == 0 { service.pay.clone() } else { replica.clone() };
                spends.spawn(async move {
                    loop {
                        match spend(&pay, request("the-one", 400)).await {
                            Err(error) if error.code.inner() / 10_000 == 503 => {}
                            answer => return answer.expect("spent"),
                        }
                    }
                });
            }
            let mut answers = spends.join_all().await;
            answers.dedup();
            assert_eq!((answers.len(), answers[0].balance, service.wallet().await), (1, 200, 200));
        }
    }
}
