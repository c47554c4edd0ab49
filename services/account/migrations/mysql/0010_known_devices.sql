-- Has this account signed in from this device before? Asked at every sign-in with a password.
ALTER TABLE account_sessions ADD INDEX ix_account_sessions_device (account_id, device_id);
