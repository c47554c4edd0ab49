-- The latest ban of an account. A row is never deleted: its revision counts on, so that whoever hears of two changes knows
-- which one is later.
CREATE TABLE IF NOT EXISTS account_bans (
    account_id BIGINT NOT NULL PRIMARY KEY,
    revision   BIGINT NOT NULL, -- counts the changes
    reason     TEXT   NOT NULL, -- shown to the player
    note       TEXT   NULL,     -- for operators
    banned_at  BIGINT NOT NULL, -- Unix ms, like every time here
    until_at   BIGINT NULL,     -- null: for good
    lifted_at  BIGINT NULL      -- by an operator; null: was not
);
