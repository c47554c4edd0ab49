-- The movements of a transaction: zero in sum, per currency. Never changed or deleted.
CREATE TABLE IF NOT EXISTS pay_ledger_entries (
    transaction_id BINARY(16) NOT NULL,
    app_id         BIGINT     NOT NULL,
    -- As in pay_ledger_accounts.
    owner_kind     SMALLINT   NOT NULL,
    owner_id       BIGINT     NOT NULL,
    currency       CHAR(3)    CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    -- Minor units, signed, never zero. Positive raises the owner's balance.
    amount         BIGINT     NOT NULL,
    PRIMARY KEY (transaction_id, owner_kind, owner_id, currency),
    -- An owner's history, and the check of a balance against it.
    KEY ix_pay_ledger_entries_owner (app_id, owner_kind, owner_id, currency, transaction_id),
    CONSTRAINT fk_pay_ledger_entries_transaction
        FOREIGN KEY (transaction_id) REFERENCES pay_ledger_transactions (transaction_id),
    CONSTRAINT ck_pay_ledger_entries_amount CHECK (amount <> 0)
) ENGINE = InnoDB
