-- What became of every attempt to tell a game server. Never changed.
CREATE TABLE IF NOT EXISTS pay_deliveries (
    order_id    CHAR(26)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    -- As the game server was told; counts up from 1.
    attempt     INT          NOT NULL,
    -- acknowledged, refused, no_answer, no_target or forbidden.
    outcome     VARCHAR(32)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    -- The HTTP status; NULL: there was no answer.
    status      INT          NULL,
    -- For operators; names no secret.
    detail      VARCHAR(256) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    -- Unix milliseconds.
    at          BIGINT       NOT NULL,
    duration_ms BIGINT       NOT NULL,
    PRIMARY KEY (order_id, attempt)
) ENGINE = InnoDB
