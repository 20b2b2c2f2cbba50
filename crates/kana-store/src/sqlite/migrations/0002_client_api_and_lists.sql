-- Whether a public key and a user's id in a header are enough for the Client API.
ALTER TABLE environments ADD COLUMN simple_mode INTEGER NOT NULL DEFAULT 1
    CHECK (simple_mode IN (0, 1));

-- What user tokens are signed with. It cannot be hashed: signing needs it.
CREATE TABLE token_secrets (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    environment_id INTEGER NOT NULL REFERENCES environments (id),
    secret         BLOB    NOT NULL,
    created_at     INTEGER NOT NULL,
    -- Null: it signs new tokens. Otherwise its tokens are good until then.
    valid_until    INTEGER
) STRICT;

CREATE INDEX token_secrets_by_environment ON token_secrets (environment_id);

-- The order in which subscriptions are listed.
CREATE INDEX subscriptions_by_start ON subscriptions (environment_id, started_at, id);
