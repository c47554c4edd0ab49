-- What the clean-up looks for: sessions that were ended before their time, bans that are over, imports nobody goes on with.
CREATE INDEX IF NOT EXISTS ix_account_sessions_revoked ON account_sessions (revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS ix_account_bans_until ON account_bans (until_at) WHERE until_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS ix_account_bans_lifted ON account_bans (lifted_at) WHERE lifted_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS ix_account_imports_updated ON account_imports (updated_at);
-- What was done to one account, app or channel.
CREATE INDEX IF NOT EXISTS ix_account_audit_target ON account_audit (target_kind, target_id, id);
