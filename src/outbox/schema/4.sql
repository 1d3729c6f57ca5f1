-- Version 4: runs that somebody has asked to be tried now.

-- Whether the next try goes out also to a receiver that is left alone: somebody has retried the run by hand, who may know
-- that the receiver is mended.
ALTER TABLE run ADD COLUMN asked INTEGER NOT NULL DEFAULT 0;
