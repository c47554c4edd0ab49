-- Where every order is now. How it came there is in pay_order_journal; both are written in one transaction.
CREATE TABLE IF NOT EXISTS pay_orders (
    -- A ULID.
    order_id         CHAR(26)      CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    app_id           BIGINT        NOT NULL,
    account_id       BIGINT        NOT NULL,
    product_id       VARCHAR(64)   CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    -- Minor units.
    amount           BIGINT        NOT NULL,
    currency         CHAR(3)       CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    role_id          VARCHAR(64)   CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    server_id        VARCHAR(64)   CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    extension        VARCHAR(1024) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    -- 1 created, 2 paying, 3 paid, 4 delivering, 5 delivered, 6 expired, 7 closed, 8 refunding, 9 refunded.
    state            SMALLINT      NOT NULL,
    -- Through which channel it is to be paid, or was; NULL: not chosen yet.
    channel          VARCHAR(32)   CHARACTER SET ascii COLLATE ascii_bin NULL,
    -- What the channel calls the payment; NULL until there is one.
    channel_order_id VARCHAR(255)  CHARACTER SET ascii COLLATE ascii_bin NULL,
    -- Unix milliseconds, like every time here.
    created_at       BIGINT        NOT NULL,
    expires_at       BIGINT        NOT NULL,
    paid_at          BIGINT        NULL,
    delivered_at     BIGINT        NULL,
    updated_at       BIGINT        NOT NULL,
    PRIMARY KEY (order_id),
    -- One payment pays for one order.
    UNIQUE KEY uq_pay_orders_payment (channel, channel_order_id),
    -- Orders that nobody has paid for.
    KEY ix_pay_orders_expiry (state, expires_at),
    KEY ix_pay_orders_account (app_id, account_id, order_id)
) ENGINE = InnoDB
