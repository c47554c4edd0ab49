-- Attempts that are old enough to be forgotten.
ALTER TABLE pay_deliveries ADD KEY ix_pay_deliveries_at (at, order_id)
