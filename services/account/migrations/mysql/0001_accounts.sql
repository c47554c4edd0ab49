-- One row per account: a player, across all apps of the platform.
CREATE TABLE IF NOT EXISTS account_accounts (
    account_id  BIGINT NOT NULL PRIMARY KEY COMMENT 'from segments, below 2^53',
    token_epoch BIGINT NOT NULL COMMENT 'tokens and sessions of an earlier epoch are revoked',
    created_at  BIGINT NOT NULL COMMENT 'Unix ms'
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
