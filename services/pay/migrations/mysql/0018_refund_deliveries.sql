-- What became of every attempt to tell a game server of a refund. Never changed.
CREATE TABLE IF NOT EXISTS pay_refund_deliveries (
    order_id    CHAR(26)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    -- As in pay_refunds.
    seq         INT          NOT NULL,
    -- The next six as in pay_deliveries; the outcome is not_wanted besides.
    attempt     INT          NOT NULL,
    outcome     VARCHAR(32)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    status      INT          NULL,
    detail      VARCHAR(256) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    at          BIGINT       NOT NULL,
    duration_ms BIGINT       NOT NULL,
    PRIMARY KEY (order_id, seq, attempt)
) ENGINE = InnoDB
