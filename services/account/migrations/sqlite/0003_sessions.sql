-- One row per sign-in of an account to an app. Prolonged by each use of its refresh token; deleted some time after it
-- has ended. Only digests of tokens are here: the successor is sealed under a key that only the predecessor yields.
CREATE TABLE IF NOT EXISTS account_sessions (
    session_id          BLOB   NOT NULL PRIMARY KEY, -- UUIDv7, 16 bytes
    account_id          BIGINT NOT NULL,
    app_id              BIGINT NOT NULL,
    token_epoch         BIGINT NOT NULL, -- of the account when the session was made
    generation          BIGINT NOT NULL, -- rotations of the refresh token so far
    refresh_digest      BLOB   NOT NULL, -- SHA-256 of the current refresh token
    predecessor_digest  BLOB   NULL,     -- of the token before it; null before the first rotation, like the next two
    sealed_successor    BLOB   NULL,     -- the current token, for who holds the predecessor within the grace
    rotated_at          BIGINT NULL,     -- Unix ms
    device_id           TEXT   NULL,
    channel             TEXT   NULL,     -- null is the official one
    package_name        TEXT   NULL,
    sdk_version         TEXT   NULL,
    address             TEXT   NULL,     -- of the sign-in
    created_at          BIGINT NOT NULL, -- Unix ms, like every time here
    last_seen_at        BIGINT NOT NULL, -- sign-in or last rotation
    refresh_expires_at  BIGINT NOT NULL, -- the session ends then unless it is used before
    absolute_expires_at BIGINT NOT NULL, -- the session ends then in any case
    revoked_at          BIGINT NULL,     -- ended before its time
    revoke_reason       TEXT   NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ix_account_sessions_account ON account_sessions (account_id, app_id, last_seen_at);
CREATE INDEX IF NOT EXISTS ix_account_sessions_expiry ON account_sessions (refresh_expires_at);
