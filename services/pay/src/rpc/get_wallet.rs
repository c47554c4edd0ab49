//! `GetWallet`: what one account has in one app, in every currency it ever had something in.

use idl::pay::{GetWalletRequest, GetWalletResponse};
use pilota::FastStr;

use crate::{
    domain::{Owner, is_id},
    error::GetWalletError,
    store::Ledger,
};

pub(crate) async fn get_wallet(
    ledger: &Ledger,
    request: GetWalletRequest,
) -> Result<GetWalletResponse, GetWalletError> {
    for (field, id) in [("app_id", request.app_id), ("account_id", request.account_id)] {
        if !is_id(id) {
            return Err(GetWalletError::Id { field });
        }
    }
    let balances = ledger.balances(request.app_id, Owner::Player(request.account_id)).await?;
    let balances = balances.into_iter().map(|(currency, balance)| (FastStr::new(currency.as_str()), balance));
    Ok(GetWalletResponse { balances: balances.collect() })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use common::{
        clock::testing::{ManualClock, SeededRandom},
        error_code::ErrorCode,
        rpc::Refusal,
        sql::{Database, migrate, testing::TestDatabase},
    };
    use prometheus::Registry;

    use super::*;
    use crate::{
        domain::{Currency, Entry, IdempotencyKey, Posting},
        metrics::Metrics,
        service::migrations,
    };

    async fn ledger() -> (TestDatabase, Ledger) {
        let database = TestDatabase::sqlite().await;
        migrate(&database, &migrations()).await.expect("migrates");
        let metrics = Arc::new(Metrics::register(&Registry::new()).expect("names are free"));
        let (clock, random) = (Arc::new(ManualClock::default()), Arc::new(SeededRandom::new(1)));
        let ledger = Ledger::new(Database::clone(&database), clock, random, metrics);
        (database, ledger)
    }

    fn request(app_id: i64, account_id: i64) -> GetWalletRequest {
        GetWalletRequest { app_id, account_id }
    }

    #[tokio::test]
    async fn an_account_that_never_had_anything_has_an_empty_wallet() {
        let (_database, ledger) = ledger().await;
        let wallet = get_wallet(&ledger, request(1, 7)).await.expect("served");
        assert!(wallet.balances.is_empty());
    }

    #[tokio::test]
    async fn a_wallet_has_what_the_ledger_says_and_only_in_its_own_app() {
        let (_database, ledger) = ledger().await;
        let currency = Currency::parse("CNY").expect("a currency");
        let entry = |owner, amount| Entry { owner, currency, amount };
        let posting = Posting::new(1, vec![entry(Owner::Player(7), 600), entry(Owner::App, -600)]).expect("balances");
        ledger.post(&posting, &IdempotencyKey::parse("gift").expect("a key")).await.expect("posts");
        let wallet = get_wallet(&ledger, request(1, 7)).await.expect("served");
        assert_eq!(wallet.balances.get("CNY"), Some(&600));
        assert!(get_wallet(&ledger, request(2, 7)).await.expect("served").balances.is_empty());
    }

    #[tokio::test]
    async fn an_id_that_can_not_be_is_refused_and_named() {
        let (_database, ledger) = ledger().await;
        for (bad, field) in
            [(request(0, 7), "app_id"), (request(1, -1), "account_id"), (request(1, 1 << 53), "account_id")]
        {
            let refusal = get_wallet(&ledger, bad).await.expect_err("refused").public();
            assert_eq!(refusal.code, ErrorCode::INVALID_ARGUMENT);
            assert_eq!(refusal.details[0].0, field);
        }
    }

    #[tokio::test]
    async fn a_database_that_can_not_be_asked_is_unavailable_and_never_an_empty_wallet() {
        let (database, ledger) = ledger().await;
        database.close().await;
        let refusal = get_wallet(&ledger, request(1, 7)).await.expect_err("refused").public();
        assert_eq!(refusal.code, ErrorCode::DEPENDENCY_UNAVAILABLE);
        assert!(refusal.retry_after.is_some());
    }
}
