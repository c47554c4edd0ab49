-- Where the check of the books is, and what its last full pass found. One row; written by whoever has the job.
CREATE TABLE IF NOT EXISTS pay_ledger_check (
    -- Always 1.
    id            SMALLINT NOT NULL PRIMARY KEY,
    -- JSON: where the pass goes on; NULL: none is under way.
    place         TEXT     NULL,
    -- Unix milliseconds, like every time here: when the pass began.
    started_at    BIGINT   NOT NULL,
    -- What it has found so far: minor units that are too many or too few, and in how many places.
    drift         BIGINT   NOT NULL,
    drifted       BIGINT   NOT NULL,
    -- What the last full pass found, and when it ended; NULL: there was none.
    last_drift    BIGINT   NOT NULL,
    last_drifted  BIGINT   NOT NULL,
    last_ended_at BIGINT   NULL
) WITHOUT ROWID;
