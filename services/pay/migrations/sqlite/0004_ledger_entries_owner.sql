-- An owner's history, and the check of a balance against it.
CREATE INDEX IF NOT EXISTS ix_pay_ledger_entries_owner
    ON pay_ledger_entries (app_id, owner_kind, owner_id, currency, transaction_id)
