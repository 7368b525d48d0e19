-- The first schema. Once released it is never edited: a change is the next file.

CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;

CREATE TABLE apps (
    name TEXT PRIMARY KEY,
    path TEXT NOT NULL,
    project TEXT NOT NULL,
    live INTEGER,
    spec TEXT NOT NULL,
    FOREIGN KEY (name, live) REFERENCES releases (app, number) DEFERRABLE INITIALLY DEFERRED
) STRICT;

-- Volumes that an app knows as its own.
CREATE TABLE volumes (
    app TEXT NOT NULL REFERENCES apps (name) ON DELETE CASCADE,
    name TEXT NOT NULL,
    PRIMARY KEY (app, name)
) STRICT;

-- These two outlive their app: a number or version that was used once is used up, also for an app of the same name.
CREATE TABLE release_numbers (app TEXT PRIMARY KEY, last INTEGER NOT NULL) STRICT;
CREATE TABLE highest_versions (
    app TEXT NOT NULL,
    file TEXT NOT NULL,
    version TEXT NOT NULL,
    PRIMARY KEY (app, file)
) STRICT;

CREATE TABLE releases (
    app TEXT NOT NULL REFERENCES apps (name) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    adopted INTEGER NOT NULL,
    created TEXT NOT NULL,
    created_by TEXT NOT NULL,
    spec TEXT NOT NULL,
    manifest BLOB NOT NULL, -- JSON, zstd
    images TEXT NOT NULL,
    inputs TEXT NOT NULL,
    versions TEXT NOT NULL,
    message TEXT,
    git_commit TEXT,
    backup TEXT,
    previous INTEGER,
    PRIMARY KEY (app, number)
) STRICT;

-- Jobs are the history of an app and outlive it.
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    app TEXT NOT NULL,
    kind TEXT NOT NULL,
    by TEXT NOT NULL,
    "from" TEXT NOT NULL,
    started TEXT NOT NULL,
    finished TEXT,
    outcome TEXT,
    phase TEXT NOT NULL,
    request TEXT NOT NULL,
    CHECK ((outcome IS NULL) = (finished IS NULL)),
    CHECK ((outcome IS NULL) = (phase <> 'done'))
) STRICT;
CREATE INDEX jobs_by_app ON jobs (app, id);
CREATE INDEX jobs_unfinished ON jobs (id) WHERE outcome IS NULL;

CREATE TABLE undo (
    job INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    entry TEXT NOT NULL,
    PRIMARY KEY (job, seq)
) STRICT;

CREATE TABLE backups (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    app TEXT NOT NULL,
    id TEXT NOT NULL,
    at TEXT NOT NULL,
    job INTEGER,
    release INTEGER,
    report TEXT NOT NULL,
    UNIQUE (app, id)
) STRICT;

CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    app TEXT,
    by TEXT NOT NULL,
    "from" TEXT NOT NULL,
    action TEXT NOT NULL,
    outcome TEXT NOT NULL
) STRICT;
CREATE INDEX audit_by_app ON audit (app, id);

CREATE TRIGGER audit_is_not_edited BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is only ever appended to'); END;

CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is only ever appended to'); END;

-- A REPLACE would delete the old row without firing the trigger above where recursive triggers are off.
CREATE TRIGGER audit_is_not_replaced BEFORE INSERT ON audit
WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'the audit is only ever appended to'); END;
