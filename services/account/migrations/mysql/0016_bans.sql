-- The latest ban of an account. A row is never deleted: its revision counts on, so that whoever hears of two changes knows
-- which one is later.
CREATE TABLE IF NOT EXISTS account_bans (
    account_id BIGINT       NOT NULL PRIMARY KEY,
    revision   BIGINT       NOT NULL COMMENT 'counts the changes',
    reason     VARCHAR(255) NOT NULL COMMENT 'shown to the player',
    note       VARCHAR(255) NULL     COMMENT 'for operators',
    banned_at  BIGINT       NOT NULL COMMENT 'Unix ms, like every time here',
    until_at   BIGINT       NULL     COMMENT 'null: for good',
    lifted_at  BIGINT       NULL     COMMENT 'by an operator; null: was not'
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
