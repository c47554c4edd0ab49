-- Whose guesses at a code count against whom, so that a stranger's do not use up those of the player.
ALTER TABLE account_phone_codes
    ADD COLUMN asker BINARY(16)      NULL COMMENT 'MAC of the device that asked for the code, or of its network',
    ADD COLUMN tally VARBINARY(2048) NULL COMMENT 'guesses so far by who made them, packed; null: none';
