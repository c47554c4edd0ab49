-- One row per sign-in of an account to an app. Prolonged by each use of its refresh token; deleted some time after it
-- has ended. Only digests of tokens are here: the successor is sealed under a key that only the predecessor yields.
CREATE TABLE IF NOT EXISTS account_sessions (
    session_id          BINARY(16)    NOT NULL PRIMARY KEY COMMENT 'UUIDv7',
    account_id          BIGINT        NOT NULL,
    app_id              BIGINT        NOT NULL,
    token_epoch         BIGINT        NOT NULL COMMENT 'of the account when the session was made',
    generation          BIGINT        NOT NULL COMMENT 'rotations of the refresh token so far',
    refresh_digest      BINARY(32)    NOT NULL COMMENT 'SHA-256 of the current refresh token',
    predecessor_digest  BINARY(32)    NULL     COMMENT 'of the token before it; null before the first rotation, like the next two',
    sealed_successor    VARBINARY(64) NULL     COMMENT 'the current token, for who holds the predecessor within the grace',
    rotated_at          BIGINT        NULL     COMMENT 'Unix ms',
    device_id           VARCHAR(128)  NULL,
    channel             VARCHAR(32)   NULL     COMMENT 'null is the official one',
    package_name        VARCHAR(128)  NULL,
    sdk_version         VARCHAR(32)   NULL,
    address             VARCHAR(64)   NULL     COMMENT 'of the sign-in',
    created_at          BIGINT        NOT NULL COMMENT 'Unix ms, like every time here',
    last_seen_at        BIGINT        NOT NULL COMMENT 'sign-in or last rotation',
    refresh_expires_at  BIGINT        NOT NULL COMMENT 'the session ends then unless it is used before',
    absolute_expires_at BIGINT        NOT NULL COMMENT 'the session ends then in any case',
    revoked_at          BIGINT        NULL     COMMENT 'ended before its time',
    revoke_reason       VARCHAR(255)  NULL,
    INDEX ix_account_sessions_account (account_id, app_id, last_seen_at),
    INDEX ix_account_sessions_expiry (refresh_expires_at)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
