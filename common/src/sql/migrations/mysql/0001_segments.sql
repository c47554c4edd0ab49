-- Identifiers handed out in blocks. One row per kind of identifier; a replica that needs a block moves next_id
-- forward by the block's length, in a transaction that holds the row's lock. What lies below next_id is given away:
-- a block that its replica did not use up is never used by anyone.
CREATE TABLE IF NOT EXISTS platform_segments (
    name    VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    -- The first identifier that is not given away. Below 2^53.
    next_id BIGINT NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
