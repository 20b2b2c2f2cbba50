-- Files of users that wait to be imported, or are being imported.
CREATE TABLE user_imports (
    environment_id INTEGER NOT NULL,
    id             BLOB    NOT NULL,
    created_at     INTEGER NOT NULL,
    -- How far it is, and what is known of it: JSON of the program.
    data           TEXT    NOT NULL,
    PRIMARY KEY (environment_id, id)
) STRICT, WITHOUT ROWID;

-- What a line of the file would do, or why it cannot.
CREATE TABLE user_import_lines (
    environment_id INTEGER NOT NULL,
    import_id      BLOB    NOT NULL,
    kind           TEXT    NOT NULL,
    -- Of the file, from 1.
    line           INTEGER NOT NULL,
    data           TEXT    NOT NULL,
    PRIMARY KEY (environment_id, import_id, kind, line)
) STRICT, WITHOUT ROWID;

-- The ids that the lines of the file are about, so that none stands twice.
CREATE TABLE user_import_names (
    environment_id INTEGER NOT NULL,
    import_id      BLOB    NOT NULL,
    name           TEXT    NOT NULL,
    line           INTEGER NOT NULL,
    -- What is said of the line.
    kind           TEXT    NOT NULL,
    PRIMARY KEY (environment_id, import_id, name)
) STRICT, WITHOUT ROWID;

-- Who has an e-mail already. Written with users only.
CREATE INDEX users_by_email ON users (environment_id, email) WHERE email IS NOT NULL;
