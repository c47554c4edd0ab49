-- Where the check of the books is, and what its last full pass found. One row; written by whoever has the job.
CREATE TABLE IF NOT EXISTS pay_ledger_check (
    -- Always 1.
    id            SMALLINT NOT NULL,
    -- JSON: where the pass goes on; NULL: none is under way.
    place         TEXT     CHARACTER SET ascii COLLATE ascii_bin NULL,
    -- Unix milliseconds, like every time here: when the pass began.
    started_at    BIGINT   NOT NULL,
    -- What it has found so far: minor units that are too many or too few, and in how many places.
    drift         BIGINT   NOT NULL,
    drifted       BIGINT   NOT NULL,
    -- What the last full pass found, and when it ended; NULL: there was none.
    last_drift    BIGINT   NOT NULL,
    last_drifted  BIGINT   NOT NULL,
    last_ended_at BIGINT   NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB
