-- What is sold. Orders keep their own copy of what they were made for.
CREATE TABLE IF NOT EXISTS pay_products (
    app_id           BIGINT       NOT NULL,
    product_id       VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    name             VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    -- JSON: currency to minor units.
    prices           TEXT         CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    -- JSON: channel to what the channel calls the product.
    channel_products TEXT         CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    -- Unix milliseconds.
    updated_at       BIGINT       NOT NULL,
    PRIMARY KEY (app_id, product_id)
) ENGINE = InnoDB
