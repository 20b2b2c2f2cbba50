//! Stories about users that leave as a file and come back as one.

// Clippy allows these in tests; stories are test code too, outside of `#[test]`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod applying;
mod engine;
mod places;
mod previews;
mod round_trip;
mod world;

macro_rules! stories {
    ($($part:ident { $($story:ident,)* })*) => {
        $(mod $part {
            mod on_sqlite {
                $(
                    #[tokio::test]
                    async fn $story() {
                        crate::$part::$story::<crate::engine::Sqlite>().await;
                    }
                )*
            }

            mod on_postgres {
                $(
                    #[tokio::test]
                    async fn $story() {
                        if kana_test_postgres::is_here() {
                            crate::$part::$story::<crate::engine::Postgres>().await;
                        }
                    }
                )*
            }
        })*
    };
}

mod tests {
    stories! {
        previews {
            a_file_is_held_against_the_users_that_there_are,
            what_stands_twice_is_a_conflict_of_both_lines,
            an_id_that_another_user_has_is_a_conflict,
            an_email_that_another_user_has_is_a_warning,
            a_hundred_lines_of_a_kind_are_kept_and_all_that_are_imported,
            a_file_that_cannot_be_read_leaves_no_preview,
        }
        applying {
            what_was_previewed_becomes_so_with_one_entry_and_the_changes_of_each_user,
            with_a_conflict_or_an_error_nothing_is_imported,
            what_changed_since_the_preview_is_left_alone_and_told_by_line,
            an_import_that_is_sent_twice_is_done_once,
            many_lines_are_imported_by_a_job_that_another_server_goes_on_with,
        }
        places {
            a_fourth_preview_takes_the_place_of_the_oldest,
            somebody_who_tries_small_files_again_and_again_never_waits,
            large_files_that_are_not_deleted_yet_leave_no_room,
            a_preview_waits_an_hour_and_is_then_deleted,
            what_belongs_to_the_other_environment_is_not_there,
        }
        round_trip {
            what_is_exported_comes_back_unchanged,
        }
    }
}
