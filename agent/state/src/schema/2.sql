-- What a drill found, what a backup was made for, and whose owner has put the recovery key away.

ALTER TABLE backups ADD COLUMN message TEXT;
ALTER TABLE backups ADD COLUMN proof TEXT; -- JSON; null: unproven

CREATE TABLE repositories (app TEXT PRIMARY KEY, key_saved TEXT) STRICT;
