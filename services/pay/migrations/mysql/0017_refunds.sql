-- What went back of orders, each time it did, and what game servers still have to be told of it.
CREATE TABLE IF NOT EXISTS pay_refunds (
    order_id          CHAR(26)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    -- Counts up from 1 within the order.
    seq               INT          NOT NULL,
    app_id            BIGINT       NOT NULL,
    -- The channel that said it; NULL: an operator did it.
    channel           VARCHAR(32)  CHARACTER SET ascii COLLATE ascii_bin NULL,
    -- What the channel calls the refund; NULL: it does not say.
    channel_refund_id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    -- Minor units of the order's currency, of this refund alone; NULL: a part, and nobody knows which.
    amount            BIGINT       NULL,
    reason            VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    -- 1: taken out of the wallet. 0: somebody has to look into it.
    in_books          SMALLINT     NOT NULL,
    -- Unix milliseconds, like every time here: as the channel says, or when it was done.
    refunded_at       BIGINT       NOT NULL,
    created_at        BIGINT       NOT NULL,
    -- The game server: 0 is not to be told, 1 is to be told, 2 dead letter, 3 has acknowledged, 4 the app takes no refunds.
    notice            SMALLINT     NOT NULL,
    -- The next six as in pay_outbox.
    attempts          INT          NOT NULL,
    failures          INT          NOT NULL,
    due_at            BIGINT       NOT NULL,
    claim             BINARY(16)   NULL,
    claimed_until     BIGINT       NOT NULL,
    -- Since when it is to be told.
    since             BIGINT       NOT NULL,
    PRIMARY KEY (order_id, seq),
    KEY ix_pay_refunds_due (notice, due_at, app_id),
    KEY ix_pay_refunds_app (app_id, notice, due_at),
    KEY ix_pay_refunds_claim (claim),
    KEY ix_pay_refunds_books (in_books, created_at)
) ENGINE = InnoDB
