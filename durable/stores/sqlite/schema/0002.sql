-- Attributes of documents, and tasks whose holder is to be told to stop.

ALTER TABLE documents ADD COLUMN attributes TEXT NOT NULL DEFAULT ''; -- JSON; the truth, of which the table below is an index
ALTER TABLE tasks ADD COLUMN cancelled INTEGER NOT NULL DEFAULT 0;

-- One row for each attribute of a document, and one more for each element of a tuple ("item"). What equals a value is found
-- in the order in which documents are listed, so that a page of it needs no sort.
CREATE TABLE attributes (
    name TEXT NOT NULL,
    kind TEXT NOT NULL, -- text, number, flag, list (as JSON) or item
    value NOT NULL, -- without a type, so that each value keeps its own
    id TEXT NOT NULL,
    partition INTEGER NOT NULL,
    PRIMARY KEY (name, kind, value, id, partition)
) WITHOUT ROWID;
CREATE INDEX attributes_document ON attributes (id, partition, name);
