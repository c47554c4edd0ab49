-- The payment channels of every app.
CREATE TABLE IF NOT EXISTS pay_channels (
    app_id     BIGINT      NOT NULL,
    channel    VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    -- Counts up with every change.
    version    BIGINT      NOT NULL,
    -- The configuration, sealed under the service's master key: it holds secrets.
    sealed     MEDIUMBLOB  NOT NULL,
    -- Unix milliseconds.
    updated_at BIGINT      NOT NULL,
    PRIMARY KEY (app_id, channel)
) ENGINE = InnoDB
