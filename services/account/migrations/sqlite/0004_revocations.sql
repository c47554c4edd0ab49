-- The feed of revocations: every instance reads what is new and keeps it in memory. A row is one session, or an account
-- with the first epoch that is good. Deleted once no access token it concerns can be alive.
CREATE TABLE IF NOT EXISTS account_revocations (
    sequence   INTEGER PRIMARY KEY AUTOINCREMENT, -- never given out twice, also after deletions
    session_id BLOB   NULL,
    account_id BIGINT NULL,
    epoch      BIGINT NULL,     -- with account_id
    created_at BIGINT NOT NULL, -- Unix ms
    expires_at BIGINT NOT NULL  -- Unix ms
);
CREATE INDEX IF NOT EXISTS ix_account_revocations_expiry ON account_revocations (expires_at);
