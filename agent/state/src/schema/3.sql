-- Digests of the env file's values, as releases went live with them.

CREATE TABLE release_secrets (
    app TEXT NOT NULL,
    release INTEGER NOT NULL,
    secrets TEXT NOT NULL, -- JSON: key to the first digits of a keyed digest
    PRIMARY KEY (app, release)
) STRICT;
