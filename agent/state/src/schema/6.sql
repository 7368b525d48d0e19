-- What was set for services beside the Compose files, with `wharf scale`.

CREATE TABLE scales (
    app TEXT PRIMARY KEY,
    scales TEXT NOT NULL -- a list of ServiceScale
) STRICT;
