-- Who runs a job now, and when it is due again. An instance takes a job by counting its fence up, and changes nothing for
-- it without finding that fence here in the same transaction.
CREATE TABLE IF NOT EXISTS pay_jobs (
    name         VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    fence        BIGINT      NOT NULL COMMENT 'how often it was taken',
    leased_until BIGINT      NOT NULL COMMENT 'Unix ms, like every time here; 0: nobody runs it',
    due_at       BIGINT      NOT NULL COMMENT 'nobody takes it before',
    succeeded_at BIGINT      NULL     COMMENT 'when it last ran to its end'
) ENGINE = InnoDB
