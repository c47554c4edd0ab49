-- Payments that channels have taken back before any order was paid with them: one that comes after all pays for nothing. Never
-- changed; a row is kept for as long as somebody may hand the payment in.
CREATE TABLE IF NOT EXISTS pay_early_refunds (
    app_id           BIGINT NOT NULL,
    channel          TEXT   NOT NULL,
    -- What the channel calls the payment.
    channel_order_id TEXT   NOT NULL,
    -- Unix milliseconds.
    noted_at         BIGINT NOT NULL,
    PRIMARY KEY (app_id, channel, channel_order_id)
) WITHOUT ROWID
