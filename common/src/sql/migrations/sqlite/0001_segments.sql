-- Identifiers handed out in blocks. One row per kind of identifier; a process that needs a block moves next_id
-- forward by the block's length. What lies below next_id is given away: a block that was not used up is never used.
CREATE TABLE IF NOT EXISTS platform_segments (
    name    TEXT NOT NULL PRIMARY KEY,
    -- The first identifier that is not given away. Below 2^53.
    next_id BIGINT NOT NULL
);
