-- Who administers Kana. They belong to the app, and to no environment. Whoever changes anything of
-- them holds the row of the app.
CREATE TABLE admins (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    app_id          bigint NOT NULL CHECK (app_id = 1),
    email           text   NOT NULL,
    -- What is compared.
    email_folded    text   COLLATE "C" NOT NULL UNIQUE,
    role            text   NOT NULL CHECK (role IN ('viewer', 'editor', 'owner')),
    -- A PHC string. Null: invited, and never set.
    password_hash   text,
    created_at      bigint NOT NULL,
    last_sign_in_at bigint
);

CREATE TABLE sessions (
    -- SHA-256 of the secret, which is not stored.
    hash         bytea  NOT NULL PRIMARY KEY,
    admin_id     bigint NOT NULL REFERENCES admins (id) ON DELETE CASCADE,
    created_at   bigint NOT NULL,
    last_seen_at bigint NOT NULL,
    ends_at      bigint NOT NULL,
    address      text   NOT NULL,
    browser      text   NOT NULL
);

CREATE INDEX sessions_by_admin ON sessions (admin_id, created_at);
CREATE INDEX sessions_by_end ON sessions (ends_at);

CREATE TABLE invitations (
    -- SHA-256 of the token, which is not stored.
    hash       bytea  NOT NULL PRIMARY KEY,
    -- Whose password it sets. Null: whoever has it becomes an admin with the role.
    admin_id   bigint REFERENCES admins (id) ON DELETE CASCADE,
    role       text CHECK (role IN ('viewer', 'editor', 'owner')),
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    used_at    bigint,
    CHECK ((admin_id IS NULL) <> (role IS NULL))
);

CREATE INDEX invitations_by_admin ON invitations (admin_id) WHERE admin_id IS NOT NULL;
CREATE INDEX invitations_by_expiry ON invitations (expires_at);

-- By which people know a key.
ALTER TABLE keys ADD COLUMN name text;
