-- Version 5: waits that last as long as they were meant to.

-- What the wall clock and the time since the machine's start were when the times of open runs were last moved, or the
-- outbox was opened: what the clock was set since can be told from it.
CREATE TABLE clock (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    boot       TEXT    NOT NULL, -- the kernel's identifier of the machine's start
    wall_ms    INTEGER NOT NULL,
    elapsed_ms INTEGER NOT NULL
);

-- By how much the clock was set, and after which moment (its row): how old a moment is can be told from it, however the clock
-- was set since.
CREATE TABLE clock_step (
    moment  INTEGER PRIMARY KEY,
    step_ms INTEGER NOT NULL
);

-- By how much the clock was set since the run was stored: its moment's time is moved by as much where it is compared with
-- the present.
ALTER TABLE run ADD COLUMN clock_step_ms INTEGER NOT NULL DEFAULT 0;

-- The receiver whose open circuit breaker has deferred the run: it is due at once when the receiver answers again.
ALTER TABLE run ADD COLUMN deferred_by TEXT;
CREATE INDEX run_deferred ON run (deferred_by) WHERE deferred_by IS NOT NULL;
