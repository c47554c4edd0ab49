-- The partners that push events.
CREATE TABLE IF NOT EXISTS account_partners (
    name              TEXT    NOT NULL PRIMARY KEY,
    signing           TEXT    NOT NULL, -- hmac, md5-sorted or none
    enabled           BOOLEAN NOT NULL,
    events_per_second BIGINT  NULL,     -- null: as configured
    burst             BIGINT  NULL,     -- events; null: as configured
    share             BIGINT  NULL,     -- percent of the queue; null: as configured
    created_at        BIGINT  NOT NULL  -- Unix ms
);
