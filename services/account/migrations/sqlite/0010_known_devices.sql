-- Has this account signed in from this device before? Asked at every sign-in with a password.
CREATE INDEX IF NOT EXISTS ix_account_sessions_device ON account_sessions (account_id, device_id);
