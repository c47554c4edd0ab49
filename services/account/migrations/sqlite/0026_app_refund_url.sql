-- Where an app's game server is told of refunds; NULL: nowhere.
ALTER TABLE account_apps ADD COLUMN refund_url TEXT NULL;
