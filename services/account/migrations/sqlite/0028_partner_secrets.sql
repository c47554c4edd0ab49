-- The live secrets of each partner, at most two, sealed under the master key.
CREATE TABLE IF NOT EXISTS account_partner_secrets (
    partner    TEXT   NOT NULL,
    version    BIGINT NOT NULL, -- counts up; the highest is the newest
    sealed     BLOB   NOT NULL, -- nonce | ciphertext | tag
    created_at BIGINT NOT NULL, -- Unix ms
    PRIMARY KEY (partner, version)
);
