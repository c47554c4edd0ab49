-- The latest code that was sent to a phone, for one app and scene. A newer one takes its row, so there are never more
-- rows than phones, apps and scenes; a row is deleted some time after its code has expired.
CREATE TABLE IF NOT EXISTS account_phone_codes (
    phone       TEXT   NOT NULL, -- blind index, hex
    app_id      BIGINT NOT NULL,
    scene       TEXT   NOT NULL, -- login, link, password_reset
    code_digest BLOB   NOT NULL, -- HMAC-SHA256 of phone, app, scene and code
    tries_left  BIGINT NOT NULL, -- counted down before a guess is compared
    redeemed_at BIGINT NULL,     -- Unix ms, like every time here
    resend_at   BIGINT NOT NULL, -- no other code before
    expires_at  BIGINT NOT NULL,
    PRIMARY KEY (phone, app_id, scene)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ix_account_phone_codes_expiry ON account_phone_codes (expires_at);
