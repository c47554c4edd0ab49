-- The movements of a transaction: zero in sum, per currency. Never changed or deleted.
CREATE TABLE IF NOT EXISTS pay_ledger_entries (
    transaction_id BLOB     NOT NULL REFERENCES pay_ledger_transactions (transaction_id),
    app_id         BIGINT   NOT NULL,
    -- As in pay_ledger_accounts.
    owner_kind     SMALLINT NOT NULL,
    owner_id       BIGINT   NOT NULL,
    currency       TEXT     NOT NULL,
    -- Minor units, signed, never zero. Positive raises the owner's balance.
    amount         BIGINT   NOT NULL CHECK (amount <> 0),
    PRIMARY KEY (transaction_id, owner_kind, owner_id, currency)
) WITHOUT ROWID;

-- An owner's history, and the check of a balance against it.
CREATE INDEX IF NOT EXISTS ix_pay_ledger_entries_owner
    ON pay_ledger_entries (app_id, owner_kind, owner_id, currency, transaction_id);
