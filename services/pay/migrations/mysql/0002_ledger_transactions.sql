-- What belongs together. Rows are never changed or deleted: a mistake is corrected by another transaction.
CREATE TABLE IF NOT EXISTS pay_ledger_transactions (
    -- UUIDv7.
    transaction_id  BINARY(16)  NOT NULL,
    app_id          BIGINT      NOT NULL,
    -- A repeated request finds its first self here.
    idempotency_key VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    -- Unix milliseconds.
    posted_at       BIGINT      NOT NULL,
    PRIMARY KEY (transaction_id),
    UNIQUE KEY uq_pay_ledger_transactions_key (app_id, idempotency_key)
) ENGINE = InnoDB
