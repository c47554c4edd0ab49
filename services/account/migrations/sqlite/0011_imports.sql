-- What another platform calls an account: makes an import that is repeated skip what is there.
CREATE TABLE IF NOT EXISTS account_external_ids (
    source      TEXT   NOT NULL, -- which platform
    external_id TEXT   NOT NULL, -- its name for the account
    account_id  BIGINT NOT NULL,
    PRIMARY KEY (source, external_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ix_account_external_ids_account ON account_external_ids (account_id);
-- How far an import of a file has come; deleted when it is through. Written together with the accounts.
CREATE TABLE IF NOT EXISTS account_imports (
    import_id     BLOB   NOT NULL PRIMARY KEY, -- SHA-256 over source and file
    byte_offset   BIGINT NOT NULL, -- the first byte that has not been looked at
    line_count    BIGINT NOT NULL, -- lines before it, and what became of them
    imported      BIGINT NOT NULL,
    skipped       BIGINT NOT NULL,
    rejected      BIGINT NOT NULL,
    rejects_bytes BIGINT NOT NULL, -- length of the file of rejects
    updated_at    BIGINT NOT NULL  -- Unix ms
) WITHOUT ROWID;
