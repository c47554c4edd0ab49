-- The rotations of a refresh token before the last one, so that a token that was used twice or more within the grace still
-- leads to the current one.
ALTER TABLE account_sessions
    ADD COLUMN earlier_rotations VARBINARY(512) NULL COMMENT 'newest first, packed; null: none is known';
