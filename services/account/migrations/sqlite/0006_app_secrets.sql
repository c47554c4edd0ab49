-- The one or two live secrets of each app, sealed under the master key.
CREATE TABLE IF NOT EXISTS account_app_secrets (
    app_id     BIGINT NOT NULL,
    version    BIGINT NOT NULL, -- counts up; the highest is the newest
    sealed     BLOB   NOT NULL, -- nonce | ciphertext | tag
    created_at BIGINT NOT NULL, -- Unix ms
    PRIMARY KEY (app_id, version)
);
