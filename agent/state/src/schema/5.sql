-- The shape that an app's databases had when a release went live.

CREATE TABLE release_schemas (
    app TEXT NOT NULL,
    release INTEGER NOT NULL,
    shape TEXT NOT NULL, -- a digest of tables and columns
    PRIMARY KEY (app, release)
) STRICT;
