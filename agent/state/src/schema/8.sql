-- Locks: who does not want an app to be changed for now.

CREATE TABLE locks (
    app TEXT PRIMARY KEY REFERENCES apps (name) ON DELETE CASCADE,
    lock TEXT NOT NULL -- a DeployLock
) STRICT;
