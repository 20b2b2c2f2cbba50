//! The statements of idempotency records.

use crate::sqlite::statements::statements;

statements! {
    SETTINGS = "SELECT seed, period_ms FROM replay_settings WHERE id = 1";
    SET_PERIOD = "UPDATE replay_settings SET period_ms = ?1 WHERE id = 1";

    // The log is as short as a run of the first level allows.
    LOG = "SELECT id, data FROM replay_log ORDER BY id";
    APPEND_TO_LOG = "INSERT INTO replay_log (data) VALUES (?1)";
    REPLACE_IN_LOG = "UPDATE replay_log SET data = ?2 WHERE id = ?1";
    // All at once: SQLite then frees the pages without a look at the rows.
    EMPTY_LOG = "DELETE FROM replay_log";

    RUNS = "
        SELECT id, state, level, period, kept_from, kept_to, keys, first_block, blocks, first_part,
            lines, done, merges_into
        FROM replay_runs ORDER BY id";
    ADD_RUN = "
        INSERT INTO replay_runs
            (id, state, level, period, kept_from, kept_to, keys, first_block, blocks, first_part,
             lines, done, merges_into)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    SET_RUN = "UPDATE replay_runs SET state = ?2, done = ?3, merges_into = ?4 WHERE id = ?1";
    DELETE_RUN = "DELETE FROM replay_runs WHERE id = ?1";

    BLOCK = "SELECT data FROM replay_blocks WHERE id = ?1";
    PUT_BLOCK = "
        INSERT INTO replay_blocks (id, data) VALUES (?1, ?2)
        ON CONFLICT (id) DO UPDATE SET data = excluded.data";
    DELETE_BLOCKS = "DELETE FROM replay_blocks WHERE id >= ?1 AND id < ?2";

    FILTER_PART = "SELECT data FROM replay_filters WHERE id = ?1";
    FILTER_PARTS = "SELECT id, data FROM replay_filters WHERE id >= ?1 AND id < ?2";
    PUT_FILTER_PART = "
        INSERT INTO replay_filters (id, data) VALUES (?1, ?2)
        ON CONFLICT (id) DO UPDATE SET data = excluded.data";
    DELETE_FILTER_PARTS = "DELETE FROM replay_filters WHERE id >= ?1 AND id < ?2";
}
