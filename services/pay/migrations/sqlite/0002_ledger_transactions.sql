-- What belongs together. Rows are never changed or deleted: a mistake is corrected by another transaction.
CREATE TABLE IF NOT EXISTS pay_ledger_transactions (
    -- UUIDv7.
    transaction_id  BLOB   NOT NULL PRIMARY KEY,
    app_id          BIGINT NOT NULL,
    -- A repeated request finds its first self here.
    idempotency_key TEXT   NOT NULL,
    -- Unix milliseconds.
    posted_at       BIGINT NOT NULL,
    UNIQUE (app_id, idempotency_key)
)
