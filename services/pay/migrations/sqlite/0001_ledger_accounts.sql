-- One balance: of an owner, in a currency, in the books of an app.
CREATE TABLE IF NOT EXISTS pay_ledger_accounts (
    app_id     BIGINT   NOT NULL,
    -- 1: a player, owner_id is the account id. 2: the app itself, owner_id is 0.
    owner_kind SMALLINT NOT NULL,
    owner_id   BIGINT   NOT NULL,
    -- ISO 4217, alphabetic.
    currency   TEXT     NOT NULL,
    -- Minor units. Always the sum of the account's entries: both are written in one transaction.
    balance    BIGINT   NOT NULL,
    -- Unix milliseconds.
    created_at BIGINT   NOT NULL,
    updated_at BIGINT   NOT NULL,
    PRIMARY KEY (app_id, owner_kind, owner_id, currency)
) WITHOUT ROWID
