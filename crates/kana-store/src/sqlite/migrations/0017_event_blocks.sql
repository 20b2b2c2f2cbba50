-- Usage events many to a row: those of a commit, of one environment. An event's id is that of its block
-- and its place in it, from 0 on.
CREATE TABLE event_blocks (
    id             INTEGER PRIMARY KEY,
    environment_id INTEGER NOT NULL,
    -- How many.
    events         INTEGER NOT NULL CHECK (events > 0),
    -- The first and the last instant at which one of them was recorded.
    recorded_from  INTEGER NOT NULL,
    recorded_to    INTEGER NOT NULL,
    -- The keys of their users, 16 bytes each, none twice: what looks for the events of a user reads no
    -- more of a block.
    users          BLOB    NOT NULL,
    -- All else, in the form of event_block.rs.
    data           BLOB    NOT NULL
) STRICT;
