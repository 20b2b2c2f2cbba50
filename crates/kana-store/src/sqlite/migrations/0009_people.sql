-- Who administers Kana. They belong to the app, and to no environment.
CREATE TABLE admins (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    app_id          INTEGER NOT NULL CHECK (app_id = 1),
    email           TEXT    NOT NULL,
    -- What is compared.
    email_folded    TEXT    NOT NULL UNIQUE,
    role            TEXT    NOT NULL CHECK (role IN ('viewer', 'editor', 'owner')),
    -- A PHC string. Null: invited, and never set.
    password_hash   TEXT,
    created_at      INTEGER NOT NULL,
    last_sign_in_at INTEGER
) STRICT;

CREATE TABLE sessions (
    -- SHA-256 of the secret, which is not stored.
    hash         BLOB    NOT NULL PRIMARY KEY,
    admin_id     INTEGER NOT NULL REFERENCES admins (id) ON DELETE CASCADE,
    created_at   INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    ends_at      INTEGER NOT NULL,
    address      TEXT    NOT NULL,
    browser      TEXT    NOT NULL
) STRICT;

CREATE INDEX sessions_by_admin ON sessions (admin_id, created_at);
CREATE INDEX sessions_by_end ON sessions (ends_at);

CREATE TABLE invitations (
    -- SHA-256 of the token, which is not stored.
    hash       BLOB    NOT NULL PRIMARY KEY,
    -- Whose password it sets. Null: whoever has it becomes an admin with the role.
    admin_id   INTEGER REFERENCES admins (id) ON DELETE CASCADE,
    role       TEXT CHECK (role IN ('viewer', 'editor', 'owner')),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER,
    CHECK ((admin_id IS NULL) <> (role IS NULL))
) STRICT;

CREATE INDEX invitations_by_admin ON invitations (admin_id) WHERE admin_id IS NOT NULL;
CREATE INDEX invitations_by_expiry ON invitations (expires_at);

-- By which people know a key.
ALTER TABLE keys ADD COLUMN name TEXT;
