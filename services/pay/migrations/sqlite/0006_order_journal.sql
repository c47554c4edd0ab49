-- What happened to every order, and what was said of it and refused. Rows are never changed or deleted.
CREATE TABLE IF NOT EXISTS pay_order_journal (
    order_id   TEXT     NOT NULL,
    -- Counts up from 1 within the order.
    seq        INT      NOT NULL,
    -- As in pay_orders. The same: nothing moved, it is only noted.
    from_state SMALLINT NOT NULL,
    to_state   SMALLINT NOT NULL,
    -- Such as paid; refused_… if it was not believed.
    event      TEXT     NOT NULL,
    -- player, channel, worker, clock or an operator.
    actor      TEXT     NOT NULL,
    reason     TEXT     NOT NULL,
    -- Unix milliseconds.
    at         BIGINT   NOT NULL,
    PRIMARY KEY (order_id, seq)
) WITHOUT ROWID
