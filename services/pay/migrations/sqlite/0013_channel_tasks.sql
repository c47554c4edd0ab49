-- What channels still have to be told of payments: purchases to acknowledge. A row is written with the payment, and goes when
-- the channel has been told.
CREATE TABLE IF NOT EXISTS pay_channel_tasks (
    order_id       TEXT     NOT NULL PRIMARY KEY,
    app_id         BIGINT   NOT NULL,
    channel        TEXT     NOT NULL,
    -- What was bought, by the channel's name for it.
    product_id     TEXT     NOT NULL,
    -- What identifies the purchase to the channel; worth nothing without the channel's access token.
    purchase_token TEXT     NOT NULL,
    -- 0: to be told. 1: given up, nobody tries any more.
    dead           SMALLINT NOT NULL,
    -- How often it failed: the place in the schedule.
    failures       INT      NOT NULL,
    -- Unix milliseconds, like every time here: nobody tries before.
    due_at         BIGINT   NOT NULL,
    -- Who is at it; NULL: nobody.
    claim          BLOB     NULL,
    -- A claim that was not given back is void from then on: whoever held it is dead.
    claimed_until  BIGINT   NOT NULL,
    created_at     BIGINT   NOT NULL
) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS ix_pay_channel_tasks_due ON pay_channel_tasks (dead, due_at);
