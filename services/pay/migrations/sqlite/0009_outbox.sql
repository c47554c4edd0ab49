-- What game servers still have to be told. A row is written with the payment, and goes when it is acknowledged.
CREATE TABLE IF NOT EXISTS pay_outbox (
    order_id      TEXT     NOT NULL PRIMARY KEY,
    app_id        BIGINT   NOT NULL,
    -- 0: to be told. 1: a dead letter, nobody tries any more.
    dead          SMALLINT NOT NULL,
    -- How often it was sent, in all its life.
    attempts      INT      NOT NULL,
    -- How often it failed since it was put in or sent again by hand: the place in the schedule.
    failures      INT      NOT NULL,
    -- Unix milliseconds, like every time here: nobody sends it before.
    due_at        BIGINT   NOT NULL,
    -- Who is sending it; NULL: nobody.
    claim         BLOB     NULL,
    -- A claim that was not given back is void from then on: whoever held it is dead.
    claimed_until BIGINT   NOT NULL,
    created_at    BIGINT   NOT NULL
) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS ix_pay_outbox_due ON pay_outbox (dead, due_at, app_id);

CREATE INDEX IF NOT EXISTS ix_pay_outbox_app ON pay_outbox (app_id, dead, due_at);

CREATE INDEX IF NOT EXISTS ix_pay_outbox_claim ON pay_outbox (claim);
