-- The orders of an app, newest first, also in one state: an order's number begins with when it was made.
ALTER TABLE pay_orders
    ADD KEY ix_pay_orders_app (app_id, order_id),
    ADD KEY ix_pay_orders_state (app_id, state, order_id)
