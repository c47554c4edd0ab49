-- Bans of devices and of parts of the network: one row per subject, kept for some time after the ban has ended. Every
-- instance has those in effect in memory, and reads them again when the count, the sum of the revisions or the highest id
-- has changed.
CREATE TABLE IF NOT EXISTS account_subject_bans (
    ban_id    BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY COMMENT 'never given out twice',
    kind      VARCHAR(16)  NOT NULL COMMENT 'device, address',
    subject   VARCHAR(64)  NOT NULL COMMENT 'device: keyed digest of its id, hex; address: the range, such as 203.0.113.0/24',
    shown     VARCHAR(64)  NOT NULL COMMENT 'to operators; of a device too little to use it',
    revision  BIGINT       NOT NULL COMMENT 'counts the changes',
    reason    VARCHAR(255) NOT NULL COMMENT 'shown to the player',
    note      VARCHAR(255) NULL     COMMENT 'for operators',
    banned_at BIGINT       NOT NULL COMMENT 'Unix ms, like every time here',
    until_at  BIGINT       NULL     COMMENT 'null: for good',
    lifted_at BIGINT       NULL     COMMENT 'by an operator; null: was not',
    UNIQUE INDEX ux_account_subject_bans_subject (kind, subject),
    INDEX ix_account_subject_bans_until (until_at),
    INDEX ix_account_subject_bans_lifted (lifted_at)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
