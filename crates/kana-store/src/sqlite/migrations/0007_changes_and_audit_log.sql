-- The number of the newest change of each environment that has any.
CREATE TABLE change_heads (
    environment_id INTEGER NOT NULL PRIMARY KEY,
    number         INTEGER NOT NULL CHECK (number > 0)
) STRICT, WITHOUT ROWID;

-- What happened, for other programs. Numbered per environment without gaps; the oldest go first.
CREATE TABLE changes (
    environment_id INTEGER NOT NULL,
    number         INTEGER NOT NULL CHECK (number > 0),
    id             BLOB    NOT NULL,
    type           TEXT    NOT NULL,
    at             INTEGER NOT NULL,
    -- The id that the user had then; null: it concerns no user.
    user_id        TEXT,
    data           TEXT    NOT NULL,
    -- Who asked for it, as the audit log shows it. Never told.
    actor          TEXT    NOT NULL
) STRICT;

CREATE UNIQUE INDEX changes_by_number ON changes (environment_id, number);
CREATE INDEX changes_by_user ON changes (environment_id, user_id, number)
    WHERE user_id IS NOT NULL;

-- Who changed what, for people. Never plain usage.
CREATE TABLE audit_log (
    environment_id INTEGER NOT NULL,
    id             BLOB    NOT NULL,
    at             INTEGER NOT NULL,
    actor          TEXT    NOT NULL,
    action         TEXT    NOT NULL,
    kind           TEXT    NOT NULL,
    subject        TEXT,
    before         TEXT,
    after          TEXT,
    request_id     TEXT
) STRICT;

CREATE UNIQUE INDEX audit_log_by_time ON audit_log (environment_id, at, id);
CREATE INDEX audit_log_by_kind ON audit_log (environment_id, kind, at, id);
CREATE INDEX audit_log_by_subject ON audit_log (environment_id, subject, at, id)
    WHERE subject IS NOT NULL;
