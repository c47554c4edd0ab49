-- What happened to an account, for its player and for operators. Rows are only ever added; they leave when they are old,
-- and lose device and address when the account is deleted.
-- The key is a UUIDv7: new rows go to the end.
CREATE TABLE IF NOT EXISTS account_history (
    event_id   BINARY(16)   NOT NULL PRIMARY KEY COMMENT 'UUIDv7',
    account_id BIGINT       NOT NULL,
    at         BIGINT       NOT NULL COMMENT 'Unix ms',
    kind       VARCHAR(32)  NOT NULL,
    app_id     BIGINT       NULL,
    session_id BINARY(16)   NULL,
    device_id  VARCHAR(128) NULL,
    address    VARCHAR(64)  NULL,
    reason     VARCHAR(255) NULL     COMMENT 'by what, or why, as the player may know',
    request_id CHAR(32)     NULL     COMMENT 'the trace id of the request behind it',
    INDEX ix_account_history_account (account_id, event_id),
    INDEX ix_account_history_at (at)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
