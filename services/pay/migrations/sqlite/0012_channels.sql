-- The payment channels of every app.
CREATE TABLE IF NOT EXISTS pay_channels (
    app_id     BIGINT NOT NULL,
    channel    TEXT   NOT NULL,
    -- Counts up with every change.
    version    BIGINT NOT NULL,
    -- The configuration, sealed under the service's master key: it holds secrets.
    sealed     BLOB   NOT NULL,
    -- Unix milliseconds.
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (app_id, channel)
) WITHOUT ROWID
