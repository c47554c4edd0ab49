-- The channels through which players of an app sign in.
CREATE TABLE IF NOT EXISTS account_channels (
    app_id     BIGINT NOT NULL,
    channel    TEXT   NOT NULL,
    version    BIGINT NOT NULL, -- counts up with every change
    sealed     BLOB   NOT NULL, -- the document, sealed under the master key: it holds secrets
    updated_at BIGINT NOT NULL, -- Unix ms
    PRIMARY KEY (app_id, channel)
);
