-- The channels through which players of an app sign in.
CREATE TABLE IF NOT EXISTS account_channels (
    app_id     BIGINT      NOT NULL,
    channel    VARCHAR(32) NOT NULL,
    version    BIGINT      NOT NULL COMMENT 'counts up with every change',
    sealed     MEDIUMBLOB  NOT NULL COMMENT 'the document, sealed under the master key: it holds secrets',
    updated_at BIGINT      NOT NULL COMMENT 'Unix ms',
    PRIMARY KEY (app_id, channel)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
