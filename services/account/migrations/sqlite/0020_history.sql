-- See the MySQL file.
CREATE TABLE IF NOT EXISTS account_history (
    event_id   BLOB    NOT NULL PRIMARY KEY,
    account_id INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    app_id     INTEGER NULL,
    session_id BLOB    NULL,
    device_id  TEXT    NULL,
    address    TEXT    NULL,
    reason     TEXT    NULL,
    request_id TEXT    NULL
);
CREATE INDEX IF NOT EXISTS ix_account_history_account ON account_history (account_id, event_id);
CREATE INDEX IF NOT EXISTS ix_account_history_at ON account_history (at);
