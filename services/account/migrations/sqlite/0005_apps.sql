-- The apps (games) that sign players in.
CREATE TABLE IF NOT EXISTS account_apps (
    app_id         BIGINT  NOT NULL PRIMARY KEY, -- below 2^53
    name           TEXT    NOT NULL,
    enabled        BOOLEAN NOT NULL,
    password_login BOOLEAN NOT NULL, -- sign-in kinds the app allows
    device_login   BOOLEAN NOT NULL,
    access_ttl_ms  BIGINT  NULL,     -- null: as configured
    refresh_ttl_ms BIGINT  NULL,     -- null: as configured
    created_at     BIGINT  NOT NULL  -- Unix ms
);
