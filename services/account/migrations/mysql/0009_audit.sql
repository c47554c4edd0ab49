-- What operators changed: one row per change, written in its transaction, never changed and never deleted.
CREATE TABLE IF NOT EXISTS account_audit (
    id          BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    at          BIGINT       NOT NULL COMMENT 'Unix ms',
    actor       VARCHAR(64)  NOT NULL,
    action      VARCHAR(64)  NOT NULL,
    target_kind VARCHAR(64)  NOT NULL,
    target_id   VARCHAR(128) NOT NULL,
    request_id  CHAR(32)     NULL COMMENT 'null: not through the admin API',
    details     TEXT         NOT NULL COMMENT 'a JSON object, without secrets'
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
