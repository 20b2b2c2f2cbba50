-- The number of the newest change of each environment that has any. A transaction takes the row
-- last, with the changes that it numbers, and holds it until it is committed. So numbers become
-- visible in their order.
CREATE TABLE change_heads (
    environment_id bigint NOT NULL PRIMARY KEY,
    number         bigint NOT NULL CHECK (number > 0)
);

-- What happened, for other programs. Numbered per environment without gaps; the oldest go first.
CREATE TABLE changes (
    environment_id bigint NOT NULL,
    number         bigint NOT NULL CHECK (number > 0),
    id             uuid   NOT NULL,
    type           text   COLLATE "C" NOT NULL,
    at             bigint NOT NULL,
    -- The id that the user had then; null: it concerns no user.
    user_id        text   COLLATE "C",
    data           text   NOT NULL,
    -- Who asked for it, as the audit log shows it. Never told.
    actor          text   NOT NULL,
    PRIMARY KEY (environment_id, number)
);

CREATE INDEX changes_by_user ON changes (environment_id, user_id, number)
    WHERE user_id IS NOT NULL;

-- Who changed what, for people. Never plain usage.
CREATE TABLE audit_log (
    environment_id bigint NOT NULL,
    id             uuid   NOT NULL,
    at             bigint NOT NULL,
    actor          text   NOT NULL,
    action         text   NOT NULL,
    kind           text   COLLATE "C" NOT NULL,
    subject        text   COLLATE "C",
    before         text,
    after          text,
    request_id     text,
    PRIMARY KEY (environment_id, at, id)
);

CREATE INDEX audit_log_by_kind ON audit_log (environment_id, kind, at, id);
CREATE INDEX audit_log_by_subject ON audit_log (environment_id, subject, at, id)
    WHERE subject IS NOT NULL;
