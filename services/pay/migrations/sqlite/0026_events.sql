-- Events for a studio's data warehouse that nobody has carried on yet. Written with what they tell of.
CREATE TABLE IF NOT EXISTS pay_events (
    -- The order in which they are carried on.
    id   INTEGER PRIMARY KEY,
    -- Unix ms.
    at   BIGINT NOT NULL,
    -- A JSON object.
    body TEXT NOT NULL
)
