-- What a repeated request to make an order is answered: what its first self was.
CREATE TABLE IF NOT EXISTS pay_order_requests (
    app_id          BIGINT      NOT NULL,
    account_id      BIGINT      NOT NULL,
    idempotency_key VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    -- SHA-256 of what was asked for.
    digest          BINARY(32)  NOT NULL,
    order_id        CHAR(26)    CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    -- Unix milliseconds.
    created_at      BIGINT      NOT NULL,
    PRIMARY KEY (app_id, account_id, idempotency_key),
    KEY ix_pay_order_requests_created (created_at)
) ENGINE = InnoDB
