-- Callbacks that are old enough to be forgotten.
CREATE INDEX IF NOT EXISTS ix_pay_callbacks_received ON pay_callbacks (received_at, order_id)
