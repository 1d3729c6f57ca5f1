-- Version 1 of the outbox.
--
-- Rows are stored in the order in which they come, and hashes have an index of their own: a table ordered by a random
-- hash would touch a page of its own for every row. Indexes of what is open are partial, so they stay as small as the
-- work at hand; their conditions are single comparisons, because a list of values costs every statement a table in memory.

-- Attempts that are open, or that a later one may continue, each with the state from which the lifecycle goes on after a
-- restart.
CREATE TABLE attempt (
    hash  BLOB NOT NULL,
    key   TEXT NOT NULL,
    state TEXT NOT NULL
);
CREATE UNIQUE INDEX attempt_hash ON attempt (hash);

-- The variables of an attempt, stored again only when they have changed.
CREATE TABLE variables (
    id   INTEGER PRIMARY KEY,
    json TEXT NOT NULL
);

-- What happened. The payload is stored without its field `variables`.
CREATE TABLE moment (
    id              INTEGER PRIMARY KEY,
    hash            BLOB    NOT NULL,
    attempt         BLOB    NOT NULL,
    queue           TEXT    NOT NULL,
    event           TEXT    NOT NULL,
    committed_at_ms INTEGER NOT NULL,
    payload         TEXT    NOT NULL,
    variables       INTEGER NOT NULL REFERENCES variables (id)
);
CREATE UNIQUE INDEX moment_hash ON moment (hash);
CREATE INDEX moment_attempt ON moment (attempt);
CREATE INDEX moment_variables ON moment (variables);

-- One flow for one moment. `waiting`: an earlier run of the same flow for the same attempt is open. `pending`: to be done
-- when it is due. `running`: in the daemon's memory. `delivered`, `failed`: over.
--
-- `step` is the step at hand, `step_tries` its failed tries, `tries` the run's tries in all. The first try is folded into
-- the row, because most runs need no second.
CREATE TABLE run (
    id            INTEGER PRIMARY KEY,
    hash          BLOB    NOT NULL,
    moment        INTEGER NOT NULL REFERENCES moment (id),
    attempt       BLOB    NOT NULL,
    hook          TEXT    NOT NULL,
    flow          TEXT    NOT NULL,
    definition    BLOB, -- the flow's content hash; not kept yet
    ordered       INTEGER NOT NULL,
    state         TEXT    NOT NULL,
    step          INTEGER NOT NULL DEFAULT 0,
    step_tries    INTEGER NOT NULL DEFAULT 0,
    tries         INTEGER NOT NULL DEFAULT 0,
    created_at_ms INTEGER NOT NULL,
    due_at_ms     INTEGER NOT NULL,
    ended_at_ms   INTEGER,
    first_try     TEXT,
    error         TEXT
);
CREATE UNIQUE INDEX run_hash ON run (hash);
CREATE INDEX run_moment ON run (moment);
CREATE INDEX run_due ON run (flow, due_at_ms) WHERE state = 'pending';
CREATE INDEX run_open ON run (attempt, flow) WHERE ended_at_ms IS NULL;
CREATE INDEX run_failed ON run (created_at_ms) WHERE state = 'failed';

-- The tries after a run's first.
CREATE TABLE try (
    run    INTEGER NOT NULL REFERENCES run (id),
    number INTEGER NOT NULL,
    record TEXT    NOT NULL
);
CREATE UNIQUE INDEX try_run ON try (run, number);
