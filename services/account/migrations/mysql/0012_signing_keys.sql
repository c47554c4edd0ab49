-- The keys that sign ID tokens (Ed25519), sealed under the master key.
CREATE TABLE IF NOT EXISTS account_signing_keys (
    key_number BIGINT         NOT NULL PRIMARY KEY COMMENT 'counts up from 1; verifiers know the key by its thumbprint',
    sealed     VARBINARY(255) NOT NULL COMMENT 'nonce | ciphertext | tag',
    signs_from BIGINT         NOT NULL COMMENT 'Unix ms; published before, so that every verifier can check its first token',
    created_at BIGINT         NOT NULL COMMENT 'Unix ms'
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
