-- What is sold. Orders keep their own copy of what they were made for.
CREATE TABLE IF NOT EXISTS pay_products (
    app_id           BIGINT NOT NULL,
    product_id       TEXT   NOT NULL,
    name             TEXT   NOT NULL,
    -- JSON: currency to minor units.
    prices           TEXT   NOT NULL,
    -- JSON: channel to what the channel calls the product.
    channel_products TEXT   NOT NULL,
    -- Unix milliseconds.
    updated_at       BIGINT NOT NULL,
    PRIMARY KEY (app_id, product_id)
) WITHOUT ROWID
