-- Version 3: runs that are cancelled, and definitions that no run has any more.
--
-- `run.state` has two more values. `cancelling`: somebody has cancelled it while it was being done; the try at hand ends, and
-- nothing follows. `cancelled`: over.

CREATE INDEX run_cancelling ON run (id) WHERE state = 'cancelling';

-- Whether any run still has a definition.
CREATE INDEX run_definition ON run (definition);
DELETE FROM definition WHERE NOT EXISTS (SELECT 1 FROM run WHERE run.definition = definition.hash);
