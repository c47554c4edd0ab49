-- The keys that sign ID tokens (Ed25519), sealed under the master key.
CREATE TABLE IF NOT EXISTS account_signing_keys (
    key_number BIGINT NOT NULL PRIMARY KEY, -- counts up from 1; verifiers know the key by its thumbprint
    sealed     BLOB   NOT NULL, -- nonce | ciphertext | tag
    signs_from BIGINT NOT NULL, -- Unix ms; published before, so that every verifier can check its first token
    created_at BIGINT NOT NULL  -- Unix ms
);
