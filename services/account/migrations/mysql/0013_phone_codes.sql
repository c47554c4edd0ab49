-- The latest code that was sent to a phone, for one app and scene. A newer one takes its row, so there are never more
-- rows than phones, apps and scenes; a row is deleted some time after its code has expired.
CREATE TABLE IF NOT EXISTS account_phone_codes (
    phone       VARCHAR(64) NOT NULL COMMENT 'blind index, hex',
    app_id      BIGINT      NOT NULL,
    scene       VARCHAR(16) NOT NULL COMMENT 'login, link, password_reset',
    code_digest BINARY(32)  NOT NULL COMMENT 'HMAC-SHA256 of phone, app, scene and code',
    tries_left  BIGINT      NOT NULL COMMENT 'counted down before a guess is compared',
    redeemed_at BIGINT      NULL     COMMENT 'Unix ms, like every time here',
    resend_at   BIGINT      NOT NULL COMMENT 'no other code before',
    expires_at  BIGINT      NOT NULL,
    PRIMARY KEY (phone, app_id, scene),
    INDEX ix_account_phone_codes_expiry (expires_at)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
