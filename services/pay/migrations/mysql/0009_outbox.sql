-- What game servers still have to be told. A row is written with the payment, and goes when it is acknowledged.
CREATE TABLE IF NOT EXISTS pay_outbox (
    order_id      CHAR(26)   CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    app_id        BIGINT     NOT NULL,
    -- 0: to be told. 1: a dead letter, nobody tries any more.
    dead          SMALLINT   NOT NULL,
    -- How often it was sent, in all its life.
    attempts      INT        NOT NULL,
    -- How often it failed since it was put in or sent again by hand: the place in the schedule.
    failures      INT        NOT NULL,
    -- Unix milliseconds, like every time here: nobody sends it before.
    due_at        BIGINT     NOT NULL,
    -- Who is sending it; NULL: nobody.
    claim         BINARY(16) NULL,
    -- A claim that was not given back is void from then on: whoever held it is dead.
    claimed_until BIGINT     NOT NULL,
    created_at    BIGINT     NOT NULL,
    PRIMARY KEY (order_id),
    KEY ix_pay_outbox_due (dead, due_at, app_id),
    KEY ix_pay_outbox_app (app_id, dead, due_at),
    KEY ix_pay_outbox_claim (claim)
) ENGINE = InnoDB
