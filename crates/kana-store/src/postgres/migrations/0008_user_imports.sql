-- Files of users that wait to be imported, or are being imported.
CREATE TABLE user_imports (
    environment_id bigint NOT NULL,
    id             uuid   NOT NULL,
    created_at     bigint NOT NULL,
    -- How far it is, and what is known of it: JSON of the program.
    data           text   NOT NULL,
    PRIMARY KEY (environment_id, id)
);

-- What a line of the file would do, or why it cannot.
CREATE TABLE user_import_lines (
    environment_id bigint NOT NULL,
    import_id      uuid   NOT NULL,
    kind           text   COLLATE "C" NOT NULL,
    -- Of the file, from 1.
    line           bigint NOT NULL,
    data           text   NOT NULL,
    PRIMARY KEY (environment_id, import_id, kind, line)
);

-- The ids that the lines of the file are about, so that none stands twice.
CREATE TABLE user_import_names (
    environment_id bigint NOT NULL,
    import_id      uuid   NOT NULL,
    name           text   COLLATE "C" NOT NULL,
    line           bigint NOT NULL,
    -- What is said of the line.
    kind           text   NOT NULL,
    PRIMARY KEY (environment_id, import_id, name)
);

-- Who has an e-mail already. Written with users only. The e-mail first: by the environment alone the
-- planner would take another index of a table that is empty.
CREATE INDEX users_by_email ON users (email, environment_id) WHERE email IS NOT NULL;
