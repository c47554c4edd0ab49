-- Bans of devices and of parts of the network: one row per subject, kept for some time after the ban has ended. Every
-- instance has those in effect in memory, and reads them again when the count, the sum of the revisions or the highest id
-- has changed.
CREATE TABLE IF NOT EXISTS account_subject_bans (
    ban_id    INTEGER PRIMARY KEY AUTOINCREMENT, -- never given out twice
    kind      TEXT   NOT NULL, -- device, address
    subject   TEXT   NOT NULL, -- device: keyed digest of its id, hex; address: the range, such as 203.0.113.0/24
    shown     TEXT   NOT NULL, -- to operators; of a device too little to use it
    revision  BIGINT NOT NULL, -- counts the changes
    reason    TEXT   NOT NULL, -- shown to the player
    note      TEXT   NULL,     -- for operators
    banned_at BIGINT NOT NULL, -- Unix ms, like every time here
    until_at  BIGINT NULL,     -- null: for good
    lifted_at BIGINT NULL      -- by an operator; null: was not
);
CREATE UNIQUE INDEX IF NOT EXISTS ux_account_subject_bans_subject ON account_subject_bans (kind, subject);
CREATE INDEX IF NOT EXISTS ix_account_subject_bans_until ON account_subject_bans (until_at) WHERE until_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS ix_account_subject_bans_lifted ON account_subject_bans (lifted_at) WHERE lifted_at IS NOT NULL;
