-- Version 2: flows of several steps, their journal, and the definitions that runs began with.

-- What a flow said when a run began with it, once for each text. `run.definition` is its hash; none in runs of version 1,
-- which take the flow that has their name.
CREATE TABLE definition (
    hash BLOB NOT NULL,
    json TEXT NOT NULL
);
CREATE UNIQUE INDEX definition_hash ON definition (hash);

-- When the run is of no use any more.
ALTER TABLE run ADD COLUMN expires_at_ms INTEGER;
-- The end of its latest `wait`: from then on its next steps are meant to be done. None: from its moment on.
ALTER TABLE run ADD COLUMN resumed_at_ms INTEGER;
-- Whether it is to take the flow's newest definition when it goes on.
ALTER TABLE run ADD COLUMN latest INTEGER NOT NULL DEFAULT 0;

-- The steps that are over, of runs of flows with several: written with the run's row, so that a step is never begun before
-- those before it are found here. A step that is done again after a crash or a retry takes its old place.
CREATE TABLE journal (
    run         INTEGER NOT NULL REFERENCES run (id),
    path        TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    ended_at_ms INTEGER NOT NULL,
    error       TEXT, -- why it failed, where the run went on all the same
    saved       TEXT  -- a JSON object: what it gave to later steps, by the names they know it by
);
CREATE UNIQUE INDEX journal_run ON journal (run, path);
