-- Authentic callbacks as they came, each once: what was paid can be proven, and counted again. Never changed.
CREATE TABLE IF NOT EXISTS pay_callbacks (
    order_id    TEXT   NOT NULL,
    -- SHA-256 of the raw body.
    digest      BLOB   NOT NULL,
    channel     TEXT   NOT NULL,
    app_id      BIGINT NOT NULL,
    -- What it came to: paid, or why it was refused.
    verdict     TEXT   NOT NULL,
    -- JSON: the headers that came with it, a list of pairs.
    headers     TEXT   NOT NULL,
    body        BLOB   NOT NULL,
    -- Unix milliseconds.
    received_at BIGINT NOT NULL,
    PRIMARY KEY (order_id, digest)
) WITHOUT ROWID
