-- Tables of the first version. Never edit a step that was shipped: add the next one.
-- WITHOUT ROWID keeps a row in one tree instead of two, wherever the primary key is what rows are found by.

CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;

-- The last number given out: inbox entries, tasks and outgoing entries are numbered from it, so it orders all of them.
INSERT INTO settings (name, value) VALUES ('seq', 0);

CREATE TABLE records (
    partition INTEGER NOT NULL,
    stream TEXT NOT NULL,
    seq INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (partition, stream, seq)
) WITHOUT ROWID;

CREATE TABLE documents (
    partition INTEGER NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    inbox TEXT NOT NULL,
    request TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    open INTEGER NOT NULL,
    note TEXT NOT NULL,
    closed_ms INTEGER,
    body BLOB NOT NULL,
    PRIMARY KEY (id, partition) -- so that people see the newest of all partitions without a sort
) WITHOUT ROWID;
CREATE UNIQUE INDEX documents_open ON documents (partition, name) WHERE open;
CREATE INDEX documents_name ON documents (partition, name, id);

-- A rowid table: entries are removed by number alone, in one statement for all partitions.
CREATE TABLE inbox (
    seq INTEGER PRIMARY KEY,
    partition INTEGER NOT NULL,
    inbox TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    data BLOB NOT NULL
);
CREATE UNIQUE INDEX inbox_id ON inbox (partition, id);
CREATE INDEX inbox_order ON inbox (partition, inbox, seq);
CREATE INDEX inbox_name ON inbox (partition, inbox, name);

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    data BLOB NOT NULL,
    expires_ms INTEGER NOT NULL,
    reaped INTEGER NOT NULL -- it expired, and its claims are in the queues again
) WITHOUT ROWID;

CREATE TABLE leases (
    partition INTEGER NOT NULL,
    inbox TEXT NOT NULL,
    session TEXT, -- NULL: given up
    epoch INTEGER NOT NULL,
    last_commit TEXT,
    PRIMARY KEY (partition, inbox)
) WITHOUT ROWID;

-- A ready task can be claimed; it may have an owner all the same: one that expired and can still come back.
-- There is no index by owner: most tasks are inserted as claimed, and would pay for it. It would serve expiry, which is rare.
CREATE TABLE tasks (
    id TEXT PRIMARY KEY,
    partition INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    queue TEXT NOT NULL,
    kind TEXT NOT NULL,
    inbox TEXT NOT NULL,
    name TEXT NOT NULL,
    owner TEXT,
    ready INTEGER NOT NULL,
    deliveries INTEGER NOT NULL,
    parked TEXT,
    data BLOB NOT NULL,
    details BLOB
) WITHOUT ROWID;
CREATE INDEX tasks_ready ON tasks (queue, kind, seq) WHERE ready;

CREATE TABLE dues (
    partition INTEGER NOT NULL,
    inbox TEXT NOT NULL,
    key TEXT NOT NULL,
    due_ms INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (partition, inbox, key)
) WITHOUT ROWID;
CREATE INDEX dues_order ON dues (partition, inbox, due_ms, key);

CREATE TABLE outgoing (
    partition INTEGER NOT NULL,
    inbox TEXT NOT NULL,
    id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    target INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (partition, inbox, id)
) WITHOUT ROWID;
CREATE INDEX outgoing_order ON outgoing (partition, inbox, seq);

CREATE TABLE replies (
    partition INTEGER NOT NULL,
    id TEXT NOT NULL,
    expires_ms INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (partition, id)
) WITHOUT ROWID;
CREATE INDEX replies_expiry ON replies (expires_ms);
