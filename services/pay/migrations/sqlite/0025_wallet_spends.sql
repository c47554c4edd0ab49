-- What game servers spent from wallets: what a repeated request is answered, and why it was done. Never changed or deleted.
CREATE TABLE IF NOT EXISTS pay_wallet_spends (
    app_id          BIGINT NOT NULL,
    idempotency_key TEXT   NOT NULL,
    -- SHA-256 of what was asked for.
    digest          BLOB   NOT NULL,
    -- As in pay_ledger_transactions.
    transaction_id  BLOB   NOT NULL,
    -- Minor units left in the wallet, of the currency, right after it.
    balance         BIGINT NOT NULL,
    reason          TEXT   NOT NULL,
    -- Unix milliseconds.
    created_at      BIGINT NOT NULL,
    PRIMARY KEY (app_id, idempotency_key)
) WITHOUT ROWID;
