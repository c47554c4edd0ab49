-- What went back of orders, each time it did, and what game servers still have to be told of it.
CREATE TABLE IF NOT EXISTS pay_refunds (
    order_id          TEXT     NOT NULL,
    -- Counts up from 1 within the order.
    seq               INT      NOT NULL,
    app_id            BIGINT   NOT NULL,
    -- The channel that said it; NULL: an operator did it.
    channel           TEXT     NULL,
    -- What the channel calls the refund; NULL: it does not say.
    channel_refund_id TEXT     NULL,
    -- Minor units of the order's currency, of this refund alone; NULL: a part, and nobody knows which.
    amount            BIGINT   NULL,
    reason            TEXT     NOT NULL,
    -- 1: taken out of the wallet. 0: somebody has to look into it.
    in_books          SMALLINT NOT NULL,
    -- Unix milliseconds, like every time here: as the channel says, or when it was done.
    refunded_at       BIGINT   NOT NULL,
    created_at        BIGINT   NOT NULL,
    -- The game server: 0 is not to be told, 1 is to be told, 2 dead letter, 3 has acknowledged, 4 the app takes no refunds.
    notice            SMALLINT NOT NULL,
    -- The next six as in pay_outbox.
    attempts          INT      NOT NULL,
    failures          INT      NOT NULL,
    due_at            BIGINT   NOT NULL,
    claim             BLOB     NULL,
    claimed_until     BIGINT   NOT NULL,
    -- Since when it is to be told.
    since             BIGINT   NOT NULL,
    PRIMARY KEY (order_id, seq)
) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS ix_pay_refunds_due ON pay_refunds (notice, due_at, app_id);

CREATE INDEX IF NOT EXISTS ix_pay_refunds_app ON pay_refunds (app_id, notice, due_at);

CREATE INDEX IF NOT EXISTS ix_pay_refunds_claim ON pay_refunds (claim);

CREATE INDEX IF NOT EXISTS ix_pay_refunds_books ON pay_refunds (in_books, created_at);
