-- What an account can be signed in to with. The primary key is what makes a name belong to one account, also when two
-- clients ask for it at once.
CREATE TABLE IF NOT EXISTS account_credentials (
    kind       TEXT   NOT NULL, -- password, device
    scope      BIGINT NOT NULL, -- app id for devices: each app has its own guests; 0 for usernames, which are one space
    name       TEXT   NOT NULL, -- password: the username, NFKC and case-folded; device: the device id
    shown_name TEXT   NOT NULL, -- as its owner wrote it
    secret     TEXT   NOT NULL, -- password: Argon2id as a PHC string; device: SHA-256 of the device secret, hex
    account_id BIGINT NOT NULL,
    created_at BIGINT NOT NULL, -- Unix ms
    PRIMARY KEY (kind, scope, name)
);
CREATE INDEX IF NOT EXISTS ix_account_credentials_account ON account_credentials (account_id);
