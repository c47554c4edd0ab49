-- The keys that seal access tokens, themselves sealed under the master key.
CREATE TABLE IF NOT EXISTS account_token_keys (
    key_id     BIGINT         NOT NULL PRIMARY KEY COMMENT 'counts up from 1; part of every token, 32 bits there',
    sealed     VARBINARY(255) NOT NULL COMMENT 'nonce | ciphertext | tag',
    signs_from BIGINT         NOT NULL COMMENT 'Unix ms; announced before, so that every instance can open its first token',
    created_at BIGINT         NOT NULL COMMENT 'Unix ms'
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
