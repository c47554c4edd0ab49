-- The end of an account: asked for, due, done. A deleted account keeps its row, so that its tokens stay revoked and what it
-- bought stays somebody's; nothing in the row says whose.
ALTER TABLE account_accounts ADD COLUMN deletion_requested_at BIGINT NULL; -- null: no deletion is pending, like the next one
ALTER TABLE account_accounts ADD COLUMN deletion_executes_at BIGINT NULL;
ALTER TABLE account_accounts ADD COLUMN deleted_at BIGINT NULL; -- null: there is a player
CREATE INDEX IF NOT EXISTS ix_account_accounts_deletion ON account_accounts (deletion_executes_at);
