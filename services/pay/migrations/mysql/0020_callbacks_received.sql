-- Callbacks that are old enough to be forgotten.
ALTER TABLE pay_callbacks ADD KEY ix_pay_callbacks_received (received_at, order_id)
