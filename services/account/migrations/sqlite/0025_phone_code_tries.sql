-- Whose guesses at a code count against whom, so that a stranger's do not use up those of the player.
ALTER TABLE account_phone_codes ADD COLUMN asker BLOB NULL; -- MAC of the device that asked for the code, or of its network
ALTER TABLE account_phone_codes ADD COLUMN tally BLOB NULL; -- guesses so far by who made them, packed; null: none
