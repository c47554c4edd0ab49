-- What operators changed: one row per change, written in its transaction, never changed and never deleted.
CREATE TABLE IF NOT EXISTS account_audit (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    at          BIGINT NOT NULL, -- Unix ms
    actor       TEXT   NOT NULL,
    action      TEXT   NOT NULL,
    target_kind TEXT   NOT NULL,
    target_id   TEXT   NOT NULL,
    request_id  TEXT   NULL,     -- null: not through the admin API
    details     TEXT   NOT NULL  -- a JSON object, without secrets
);
