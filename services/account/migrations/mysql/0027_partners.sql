-- The partners that push events.
CREATE TABLE IF NOT EXISTS account_partners (
    name              VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    signing           VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'hmac, md5-sorted or none',
    enabled           BOOLEAN NOT NULL,
    events_per_second BIGINT  NULL COMMENT 'null: as configured',
    burst             BIGINT  NULL COMMENT 'events; null: as configured',
    share             BIGINT  NULL COMMENT 'percent of the queue; null: as configured',
    created_at        BIGINT  NOT NULL COMMENT 'Unix ms'
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
