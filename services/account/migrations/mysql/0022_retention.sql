-- What the clean-up looks for: sessions that were ended before their time, bans that are over, imports nobody goes on with.
ALTER TABLE account_sessions ADD INDEX ix_account_sessions_revoked (revoked_at);
ALTER TABLE account_bans
    ADD INDEX ix_account_bans_until (until_at),
    ADD INDEX ix_account_bans_lifted (lifted_at);
ALTER TABLE account_imports ADD INDEX ix_account_imports_updated (updated_at);
-- What was done to one account, app or channel.
ALTER TABLE account_audit ADD INDEX ix_account_audit_target (target_kind, target_id, id);
