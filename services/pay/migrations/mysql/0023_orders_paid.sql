-- What an app was paid through a channel on a day: to be compared with the channel's bill.
ALTER TABLE pay_orders ADD KEY ix_pay_orders_paid (app_id, channel, paid_at, order_id)
