CREATE TABLE IF NOT EXISTS workouts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    minutes integer NOT NULL CHECK (minutes > 0),
    created_at timestamptz NOT NULL DEFAULT now()
);
