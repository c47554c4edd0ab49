-- The apps (games) that sign players in.
CREATE TABLE IF NOT EXISTS account_apps (
    app_id         BIGINT       NOT NULL PRIMARY KEY COMMENT 'below 2^53',
    name           VARCHAR(128) NOT NULL,
    enabled        BOOLEAN      NOT NULL,
    password_login BOOLEAN      NOT NULL COMMENT 'sign-in kinds the app allows',
    device_login   BOOLEAN      NOT NULL,
    access_ttl_ms  BIGINT       NULL COMMENT 'null: as configured',
    refresh_ttl_ms BIGINT       NULL COMMENT 'null: as configured',
    created_at     BIGINT       NOT NULL COMMENT 'Unix ms'
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
