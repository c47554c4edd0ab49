-- What an account can be signed in to with. The primary key is what makes a name belong to one account, also when two
-- clients ask for it at once.
-- `name` is VARBINARY because the _bin collations of MySQL ignore trailing spaces, and a device id may end with one.
CREATE TABLE IF NOT EXISTS account_credentials (
    kind       VARCHAR(16)    NOT NULL COMMENT 'password, device',
    scope      BIGINT         NOT NULL COMMENT 'app id for devices: each app has its own guests; 0 for usernames, which are one space',
    name       VARBINARY(512) NOT NULL COMMENT 'password: the username, NFKC and case-folded; device: the device id',
    shown_name VARCHAR(128)   NOT NULL COMMENT 'as its owner wrote it',
    secret     VARCHAR(255)   NOT NULL COMMENT 'password: Argon2id as a PHC string; device: SHA-256 of the device secret, hex',
    account_id BIGINT         NOT NULL,
    created_at BIGINT         NOT NULL COMMENT 'Unix ms',
    PRIMARY KEY (kind, scope, name),
    INDEX ix_account_credentials_account (account_id)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
