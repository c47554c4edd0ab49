-- Events for a studio's data warehouse that nobody has carried on yet. Written with what they tell of.
CREATE TABLE IF NOT EXISTS account_events (
    -- The order in which they are carried on, by and large.
    id   BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    at   BIGINT NOT NULL COMMENT 'Unix ms',
    body TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'a JSON object'
) ENGINE = InnoDB
