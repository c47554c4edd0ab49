-- What payment channels still have to be asked: about orders that are being paid, and for the money of refunds.
CREATE TABLE IF NOT EXISTS pay_questions (
    order_id      CHAR(26)    CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    -- 1: what has become of the order. 2: its money back.
    kind          SMALLINT    NOT NULL,
    app_id        BIGINT      NOT NULL,
    channel       VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    -- 0: to be asked. 1: the channel has refused, and an operator has to look.
    parked        SMALLINT    NOT NULL,
    -- How often it was asked.
    asked         INT         NOT NULL,
    -- How often it was answered.
    answers       INT         NOT NULL,
    -- Questions without an answer since the last one that had one. An order is kept from expiring for a while by these.
    failures      INT         NOT NULL,
    -- Unix milliseconds, like every time here: nobody asks before.
    due_at        BIGINT      NOT NULL,
    -- Who is asking; NULL: nobody.
    claim         BINARY(16)  NULL,
    -- A claim that was not given back is void from then on: whoever held it is dead.
    claimed_until BIGINT      NOT NULL,
    created_at    BIGINT      NOT NULL,
    PRIMARY KEY (order_id, kind),
    KEY ix_pay_questions_due (parked, due_at, app_id, channel),
    KEY ix_pay_questions_lane (app_id, channel, parked, due_at)
) ENGINE = InnoDB
