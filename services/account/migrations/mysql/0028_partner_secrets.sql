-- The live secrets of each partner, at most two, sealed under the master key.
CREATE TABLE IF NOT EXISTS account_partner_secrets (
    partner    VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    version    BIGINT         NOT NULL COMMENT 'counts up; the highest is the newest',
    sealed     VARBINARY(255) NOT NULL COMMENT 'nonce | ciphertext | tag',
    created_at BIGINT         NOT NULL COMMENT 'Unix ms',
    PRIMARY KEY (partner, version)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
