-- Authentic callbacks as they came, each once: what was paid can be proven, and counted again. Never changed.
CREATE TABLE IF NOT EXISTS pay_callbacks (
    order_id    CHAR(26)    CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    -- SHA-256 of the raw body.
    digest      BINARY(32)  NOT NULL,
    channel     VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    app_id      BIGINT      NOT NULL,
    -- What it came to: paid, or why it was refused.
    verdict     VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    -- JSON: the headers that came with it, a list of pairs.
    headers     TEXT        CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    body        MEDIUMBLOB  NOT NULL,
    -- Unix milliseconds.
    received_at BIGINT      NOT NULL,
    PRIMARY KEY (order_id, digest)
) ENGINE = InnoDB
