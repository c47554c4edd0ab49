-- What an app was paid through a channel on a day: to be compared with the channel's bill.
CREATE INDEX IF NOT EXISTS ix_pay_orders_paid ON pay_orders (app_id, channel, paid_at, order_id)
