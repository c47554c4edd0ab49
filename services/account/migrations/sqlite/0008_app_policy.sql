-- What an app allows its players, beyond the sign-in kinds and lifetimes it had; and the class of device that a session
-- counts for.
ALTER TABLE account_apps ADD COLUMN phone_login BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE account_apps ADD COLUMN channel_login BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE account_apps ADD COLUMN registration_open BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE account_apps ADD COLUMN id_token BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE account_apps ADD COLUMN refresh_absolute_ttl_ms BIGINT NULL; -- null: as configured
ALTER TABLE account_apps ADD COLUMN device_limits TEXT NULL; -- JSON, device class -> {max, on_excess}; null: none
ALTER TABLE account_apps ADD COLUMN delivery_url TEXT NULL;
ALTER TABLE account_sessions ADD COLUMN device_class TEXT NULL; -- null: mobile
