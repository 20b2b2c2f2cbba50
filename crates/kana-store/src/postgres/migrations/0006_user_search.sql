-- Finds users by the beginning of id, billing id, name or e-mail, whatever the case: a row for each
-- different text of a user, written with users only. The program folds the case, and fills the table
-- after it is created.
CREATE TABLE user_search (
    environment_id bigint NOT NULL,
    -- How many characters the text shares with the user's text before it, in the order of the texts. A
    -- search for more characters finds the user by this text; for fewer, by an earlier one.
    shared         bigint NOT NULL CHECK (shared >= 0),
    -- With its case folded; never empty.
    text           text   COLLATE "C" NOT NULL,
    user_key       uuid   NOT NULL,
    PRIMARY KEY (environment_id, shared, text, user_key)
);

-- Subscribers are listed by their keys, too. The sum and the bytes of the key keep the planner from
-- finding a user's subscriptions by this index while it knows nothing of the table.
DROP INDEX subscriptions_by_package;

CREATE INDEX subscriptions_by_package
    ON subscriptions ((environment_id + 0), package_id, uuid_send(user_key))
    INCLUDE (user_key, status) WHERE ended_at IS NULL;

-- Which blocks have events of which time, so that the log can be read a window at a time. It is as
-- small as a thousandth of the log, and nothing is written to it for most events.
CREATE INDEX events_by_time ON events USING brin (recorded_at)
    WITH (pages_per_range = 64, autosummarize = on);
