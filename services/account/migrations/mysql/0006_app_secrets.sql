-- The one or two live secrets of each app, sealed under the master key.
CREATE TABLE IF NOT EXISTS account_app_secrets (
    app_id     BIGINT         NOT NULL,
    version    BIGINT         NOT NULL COMMENT 'counts up; the highest is the newest',
    sealed     VARBINARY(255) NOT NULL COMMENT 'nonce | ciphertext | tag',
    created_at BIGINT         NOT NULL COMMENT 'Unix ms',
    PRIMARY KEY (app_id, version)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
