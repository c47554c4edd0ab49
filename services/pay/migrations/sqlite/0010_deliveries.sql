-- What became of every attempt to tell a game server. Never changed.
CREATE TABLE IF NOT EXISTS pay_deliveries (
    order_id    TEXT   NOT NULL,
    -- As the game server was told; counts up from 1.
    attempt     INT    NOT NULL,
    -- acknowledged, refused, no_answer, no_target or forbidden.
    outcome     TEXT   NOT NULL,
    -- The HTTP status; NULL: there was no answer.
    status      INT    NULL,
    -- For operators; names no secret.
    detail      TEXT   NOT NULL,
    -- Unix milliseconds.
    at          BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    PRIMARY KEY (order_id, attempt)
) WITHOUT ROWID
