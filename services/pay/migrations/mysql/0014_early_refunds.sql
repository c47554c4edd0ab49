-- Payments that channels have taken back before any order was paid with them: one that comes after all pays for nothing. Never
-- changed; a row is kept for as long as somebody may hand the payment in.
CREATE TABLE IF NOT EXISTS pay_early_refunds (
    app_id           BIGINT       NOT NULL,
    channel          VARCHAR(32)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    -- What the channel calls the payment.
    channel_order_id VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    -- Unix milliseconds.
    noted_at         BIGINT       NOT NULL,
    PRIMARY KEY (app_id, channel, channel_order_id)
) ENGINE = InnoDB
