-- Finds users by the beginning of id, billing id, name or e-mail, whatever the case: a row for each
-- different text of a user, written with users only. The program folds the case, and fills the table
-- after it is created.
CREATE TABLE user_search (
    environment_id INTEGER NOT NULL,
    -- How many characters the text shares with the user's text before it, in the order of the texts. A
    -- search for more characters finds the user by this text; for fewer, by an earlier one.
    shared         INTEGER NOT NULL CHECK (shared >= 0),
    -- With its case folded; never empty.
    text           TEXT    NOT NULL,
    user_key       BLOB    NOT NULL,
    PRIMARY KEY (environment_id, shared, text, user_key)
) STRICT, WITHOUT ROWID;
