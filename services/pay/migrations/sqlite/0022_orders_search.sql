-- The orders of an app, newest first, also in one state: an order's number begins with when it was made.
CREATE INDEX IF NOT EXISTS ix_pay_orders_app ON pay_orders (app_id, order_id);

CREATE INDEX IF NOT EXISTS ix_pay_orders_state ON pay_orders (app_id, state, order_id);
