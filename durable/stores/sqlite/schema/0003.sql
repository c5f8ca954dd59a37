-- Closed documents in the order in which they were closed, for those who remove old ones; and when entries came.

CREATE INDEX documents_closed ON documents (partition, closed_ms, id) WHERE closed_ms IS NOT NULL;
ALTER TABLE inbox ADD COLUMN at_ms INTEGER NOT NULL DEFAULT 0; -- 0: it came before this column
