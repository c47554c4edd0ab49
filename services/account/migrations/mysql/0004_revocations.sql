-- The feed of revocations: every instance reads what is new and keeps it in memory. A row is one session, or an account
-- with the first epoch that is good. Deleted once no access token it concerns can be alive.
CREATE TABLE IF NOT EXISTS account_revocations (
    sequence   BIGINT     NOT NULL AUTO_INCREMENT PRIMARY KEY COMMENT 'assigned at insert, seen at commit: not seen in order',
    session_id BINARY(16) NULL,
    account_id BIGINT     NULL,
    epoch      BIGINT     NULL COMMENT 'with account_id',
    created_at BIGINT     NOT NULL COMMENT 'Unix ms',
    expires_at BIGINT     NOT NULL COMMENT 'Unix ms',
    INDEX ix_account_revocations_expiry (expires_at)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
