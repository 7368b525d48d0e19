-- What is done for an app again and again, and the backups that their owner wants to stay.

ALTER TABLE backups ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;

CREATE TABLE chores (
    app TEXT NOT NULL,
    chore TEXT NOT NULL,
    since TEXT NOT NULL,
    last_run TEXT,
    failures INTEGER NOT NULL,
    why TEXT,
    job INTEGER,
    PRIMARY KEY (app, chore)
) STRICT;
