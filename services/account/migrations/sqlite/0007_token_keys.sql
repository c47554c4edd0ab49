-- The keys that seal access tokens, themselves sealed under the master key.
CREATE TABLE IF NOT EXISTS account_token_keys (
    key_id     BIGINT NOT NULL PRIMARY KEY, -- counts up from 1; part of every token, 32 bits there
    sealed     BLOB   NOT NULL, -- nonce | ciphertext | tag
    signs_from BIGINT NOT NULL, -- Unix ms; announced before, so that every instance can open its first token
    created_at BIGINT NOT NULL  -- Unix ms
);
