-- Where every order is now. How it came there is in pay_order_journal; both are written in one transaction.
CREATE TABLE IF NOT EXISTS pay_orders (
    -- A ULID.
    order_id         TEXT     NOT NULL PRIMARY KEY,
    app_id           BIGINT   NOT NULL,
    account_id       BIGINT   NOT NULL,
    product_id       TEXT     NOT NULL,
    -- Minor units.
    amount           BIGINT   NOT NULL,
    currency         TEXT     NOT NULL,
    role_id          TEXT     NOT NULL,
    server_id        TEXT     NOT NULL,
    extension        TEXT     NOT NULL,
    -- 1 created, 2 paying, 3 paid, 4 delivering, 5 delivered, 6 expired, 7 closed, 8 refunding, 9 refunded.
    state            SMALLINT NOT NULL,
    -- Through which channel it is to be paid, or was; NULL: not chosen yet.
    channel          TEXT     NULL,
    -- What the channel calls the payment; NULL until there is one.
    channel_order_id TEXT     NULL,
    -- Unix milliseconds, like every time here.
    created_at       BIGINT   NOT NULL,
    expires_at       BIGINT   NOT NULL,
    paid_at          BIGINT   NULL,
    delivered_at     BIGINT   NULL,
    updated_at       BIGINT   NOT NULL,
    -- One payment pays for one order.
    UNIQUE (channel, channel_order_id)
);

-- Orders that nobody has paid for.
CREATE INDEX IF NOT EXISTS ix_pay_orders_expiry ON pay_orders (state, expires_at);

CREATE INDEX IF NOT EXISTS ix_pay_orders_account ON pay_orders (app_id, account_id, order_id);
