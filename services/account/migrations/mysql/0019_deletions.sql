-- The end of an account: asked for, due, done. A deleted account keeps its row, so that its tokens stay revoked and what it
-- bought stays somebody's; nothing in the row says whose.
ALTER TABLE account_accounts
    ADD COLUMN deletion_requested_at BIGINT NULL COMMENT 'Unix ms; null: no deletion is pending, like the next one',
    ADD COLUMN deletion_executes_at  BIGINT NULL,
    ADD COLUMN deleted_at            BIGINT NULL COMMENT 'null: there is a player',
    ADD INDEX ix_account_accounts_deletion (deletion_executes_at);
