-- What another platform calls an account: makes an import that is repeated skip what is there.
CREATE TABLE IF NOT EXISTS account_external_ids (
    source      VARCHAR(64)    NOT NULL COMMENT 'which platform',
    external_id VARBINARY(128) NOT NULL COMMENT 'its name for the account',
    account_id  BIGINT         NOT NULL,
    PRIMARY KEY (source, external_id),
    INDEX ix_account_external_ids_account (account_id)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
-- How far an import of a file has come; deleted when it is through. Written together with the accounts.
CREATE TABLE IF NOT EXISTS account_imports (
    import_id     BINARY(32) NOT NULL PRIMARY KEY COMMENT 'SHA-256 over source and file',
    byte_offset   BIGINT     NOT NULL COMMENT 'the first byte that has not been looked at',
    line_count    BIGINT     NOT NULL COMMENT 'lines before it, and what became of them',
    imported      BIGINT     NOT NULL,
    skipped       BIGINT     NOT NULL,
    rejected      BIGINT     NOT NULL,
    rejects_bytes BIGINT     NOT NULL COMMENT 'length of the file of rejects',
    updated_at    BIGINT     NOT NULL COMMENT 'Unix ms'
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
