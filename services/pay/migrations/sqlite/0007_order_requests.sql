-- What a repeated request to make an order is answered: what its first self was.
CREATE TABLE IF NOT EXISTS pay_order_requests (
    app_id          BIGINT NOT NULL,
    account_id      BIGINT NOT NULL,
    idempotency_key TEXT   NOT NULL,
    -- SHA-256 of what was asked for.
    digest          BLOB   NOT NULL,
    order_id        TEXT   NOT NULL,
    -- Unix milliseconds.
    created_at      BIGINT NOT NULL,
    PRIMARY KEY (app_id, account_id, idempotency_key)
) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS ix_pay_order_requests_created ON pay_order_requests (created_at);
