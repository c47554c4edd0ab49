-- Attempts that are old enough to be forgotten.
CREATE INDEX IF NOT EXISTS ix_pay_deliveries_at ON pay_deliveries (at, order_id)
