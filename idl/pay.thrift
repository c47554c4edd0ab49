namespace rs pay

/// The wallet ledger.

struct GetWalletRequest {
    1: required i64 app_id,
    2: required i64 account_id,
}

struct GetWalletResponse {
    /// Currency -> balance in minor units. A currency that was never used is absent.
    1: required map<string, i64> balances,
}

service PayService {
    /// The balances of one account's wallet in one app, from the ledger. Read only.
    GetWalletResponse GetWallet(1: GetWalletRequest req),
}
