-- What an app allows its players, beyond the sign-in kinds and lifetimes it had; and the class of device that a session
-- counts for.
ALTER TABLE account_apps
    ADD COLUMN phone_login             BOOLEAN       NOT NULL DEFAULT TRUE,
    ADD COLUMN channel_login           BOOLEAN       NOT NULL DEFAULT TRUE,
    ADD COLUMN registration_open       BOOLEAN       NOT NULL DEFAULT TRUE,
    ADD COLUMN id_token                BOOLEAN       NOT NULL DEFAULT FALSE,
    ADD COLUMN refresh_absolute_ttl_ms BIGINT        NULL COMMENT 'null: as configured',
    ADD COLUMN device_limits           VARCHAR(1024) NULL COMMENT 'JSON, device class -> {max, on_excess}; null: none',
    ADD COLUMN delivery_url            VARCHAR(1024) NULL;
ALTER TABLE account_sessions
    ADD COLUMN device_class VARCHAR(16) NULL COMMENT 'null: mobile';
