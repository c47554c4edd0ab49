-- Who runs a job now, and when it is due again. An instance takes a job by counting its fence up, and changes nothing for
-- it without finding that fence here in the same transaction.
CREATE TABLE IF NOT EXISTS pay_jobs (
    name         TEXT   NOT NULL PRIMARY KEY,
    fence        BIGINT NOT NULL, -- how often it was taken
    leased_until BIGINT NOT NULL, -- Unix ms, like every time here; 0: nobody runs it
    due_at       BIGINT NOT NULL, -- nobody takes it before
    succeeded_at BIGINT NULL      -- when it last ran to its end
) WITHOUT ROWID
