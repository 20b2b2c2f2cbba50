//! What every engine must do: stories told to the traits of [`kana_store::store`] and to nothing
//! else, one module per part of them.
//!
//! A story is generic over an [`Engine`]; [`every_story_on!`] makes a test of each for one engine.
//! Another engine passes the suite with an `impl Engine` and a module at the end of this file. A
//! story that is not listed here is dead code, and the compiler says so.

// Clippy allows these in tests; stories are test code too, outside of `#[test]`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod app_and_keys;
mod catalog;
mod client_access;
mod counters;
mod engine;
mod events;
mod feed;
mod grants;
mod holds;
mod isolation;
mod jobs;
mod limit_crossings;
mod lists;
mod old_keys;
mod overrides;
mod people;
mod publishing;
mod replays;
mod sharing;
mod subscribers;
mod subscriptions;
mod survival;
mod thresholds;
mod transactions;
mod transfer;
mod transfer_across;
mod usage_by_user;
mod usage_events;
mod usage_statistics;
mod user_deletion;
mod user_imports;
mod user_search;
mod users;
mod world;

use engine::Engine;

macro_rules! tests {
    ($engine:ty; $($part:ident { $($(#[$attribute:meta])* $story:ident,)* })*) => {
        $(mod $part {
            $(
                #[tokio::test]
                $(#[$attribute])*
                async fn $story() {
                    if <$engine as crate::engine::Engine>::is_here() {
                        crate::$part::$story::<$engine>().await;
                    }
                }
            )*
        })*
    };
}

macro_rules! every_story_on {
    ($engine:ty) => {
        tests! {
            $engine;
            app_and_keys {
                a_database_is_ready_with_and_without_an_app,
                an_empty_database_has_no_app,
                the_app_is_made_with_its_two_environments_and_its_keys,
                an_app_can_be_made_without_a_key,
                a_second_app_is_not_made_and_its_keys_are_not_stored,
                of_many_who_make_the_app_at_once_one_does,
                an_app_whose_keys_cannot_all_be_stored_is_not_made_at_all,
                an_app_that_is_not_committed_leaves_nothing_and_makes_others_wait,
                a_key_that_is_not_committed_opens_nothing,
                a_key_needs_an_app,
                keys_are_listed_oldest_first,
                the_same_key_is_not_stored_twice,
                a_key_is_found_by_its_hash,
                a_key_that_was_never_stored_is_not_found,
                a_revoked_key_is_found_and_says_since_when,
                a_key_says_its_name_who_created_it_and_the_last_minute_it_was_used,
                a_key_that_is_revoked_again_stays_revoked_since_the_first_time,
                revoking_a_key_that_does_not_exist_revokes_none,
            }
            users {
                an_unknown_user_is_none_and_the_catalog_version_still_answers,
                a_question_about_nobody_still_answers_the_catalog_version,
                a_user_is_kept_with_everything_that_is_known,
                a_user_needs_nothing_but_an_id,
                what_is_empty_is_not_what_is_absent,
                metadata_is_kept_as_it_was_given,
                numbers_in_metadata_are_kept_to_the_last_digit,
                ids_are_compared_exactly,
                many_users_stand_in_the_order_in_which_they_were_asked_for,
                an_id_belongs_to_one_user,
                an_update_replaces_what_is_known_and_touches_nobody_else,
                a_new_id_moves_the_user_with_all_facts_and_frees_the_old_one,
                a_new_id_that_another_has_is_not_written,
                ids_go_from_one_user_to_another_within_one_transaction,
                an_id_that_a_transaction_frees_is_another_users_with_all_facts_of_each,
            }
            user_search {
                users_are_found_by_the_beginning_of_each_text_whatever_the_case,
                a_user_who_matches_more_than_once_is_found_once,
                the_search_follows_changes_and_forgets_what_was,
                what_is_rolled_back_is_not_found,
                imported_users_are_found,
                subscribers_are_listed_in_order_of_creation_each_once,
                whatever_users_are_called_a_search_finds_whom_the_model_finds,
            }
            lists {
                users_are_listed_in_order_of_creation_whatever_their_ids,
                pages_of_users_have_no_gap_and_no_overlap,
                subscriptions_are_listed_newest_first_by_start_then_by_creation,
                pages_of_subscriptions_have_no_gap_and_no_overlap,
                subscriptions_of_many_users_stand_in_the_order_of_the_users,
                subscriptions_of_a_thousand_users_are_found_at_once,
                lists_of_one_environment_have_nothing_of_the_other,
            }
            client_access {
                without_an_app_there_is_no_environment_to_let_anyone_into,
                an_environment_begins_with_simple_mode_and_without_a_secret,
                simple_mode_is_set_for_one_environment,
                a_secret_is_provided_where_none_signs_and_for_one_environment,
                of_many_who_provide_a_secret_at_once_one_does,
                rotating_adds_a_secret_and_ends_the_earlier_ones_in_time,
                rotating_at_once_leaves_nothing_but_the_new_secret,
            }
            subscriptions {
                a_new_user_has_no_subscriptions,
                what_runs_stands_in_the_facts_and_what_has_ended_does_not,
                cancelling_ends_one_subscription_and_no_other,
                a_subscription_is_cancelled_under_the_key_of_its_own_user_only,
                a_subscription_can_be_added_after_its_end,
                every_status_is_kept,
                instants_are_kept_to_the_millisecond,
                quantities_are_kept_with_what_there_was_before,
                a_quantity_is_set_under_the_key_of_its_own_user_only,
                timings_are_kept_with_the_subscription,
                a_subscription_is_found_by_its_id_with_its_owner,
                subscriptions_stand_in_the_order_in_which_they_were_asked_for,
                users_do_not_share_subscriptions,
                facts_of_many_users_stand_in_the_order_in_which_they_were_asked_for,
                ended_subscriptions_stand_in_the_order_in_which_users_were_asked_for,
                a_user_can_have_many_subscriptions,
            }
            subscribers {
                whoever_a_subscription_grants_something_at_the_instant_is_a_subscriber,
            }
            counters {
                a_counter_that_was_never_written_holds_nothing,
                a_counter_holds_what_was_written_last,
                changes_are_written_in_their_order,
                a_counter_holds_the_largest_amount_there_is,
                counters_differ_by_user_subscription_feature_terms_and_period,
                counters_stand_in_the_order_in_which_they_were_asked_for,
                counters_of_many_periods_are_those_that_were_asked_for,
                a_deleted_counter_was_never_written_and_can_be_written_again,
                counters_are_walked_through_in_their_order_without_gap_or_overlap,
            }
            events {
                events_of_every_shape_are_kept,
                the_same_event_can_happen_twice,
            }
            usage_by_user {
                usage_is_read_user_by_user_in_order_of_arrival,
                any_number_of_events_comes_in_batches,
                whoever_goes_away_is_in_nobodys_way,
            }
            usage_events {
                events_are_read_as_they_were_recorded_newest_first,
                an_empty_log_has_no_events_and_an_end,
                events_of_one_instant_are_on_one_page_each,
                a_walk_that_ends_early_says_how_far_it_has_looked,
            }
            feed {
                a_log_begins_empty_and_numbers_from_one,
                what_is_rolled_back_takes_no_number,
                pages_follow_each_other_whatever_the_filter,
                a_page_ends_after_so_many_that_the_filter_leaves_out,
                numbers_appear_in_their_order_however_many_write,
                the_oldest_changes_are_forgotten_by_age_and_by_number,
                a_clock_that_was_behind_takes_no_fresh_change_with_it,
                the_audit_log_is_read_newest_first_and_by_its_filters,
                the_oldest_entries_of_the_audit_log_are_forgotten,
                a_page_of_the_audit_log_ends_before_it_takes_too_much_memory,
            }
            replays {
                a_key_that_was_never_used_answers_nothing,
                every_answer_to_recording_usage_is_kept,
                every_answer_to_using_a_feature_is_kept,
                what_was_asked_is_kept_with_the_answer,
                keys_are_compared_exactly,
                replays_stand_in_the_order_in_which_they_were_asked_for,
                a_key_that_was_used_is_not_used_again,
                keys_are_forgotten_and_can_be_used_again,
            }
            catalog {
                an_app_begins_with_an_empty_catalog_that_never_changed,
                features_are_kept_as_they_were_put,
                packages_are_kept_as_they_were_put,
                every_allowance_is_kept,
                the_terms_that_a_package_feature_has_had_are_kept,
                every_package_status_is_kept,
                things_stand_in_order_of_creation_however_often_they_change,
                an_update_replaces_a_feature,
                an_update_replaces_a_package_with_its_features_and_their_order,
                base_packages_stand_in_their_order_and_can_be_replaced,
                a_package_can_become_an_addon_and_a_base_again,
                of_two_changes_of_one_thing_the_last_holds,
                the_version_grows_by_one_with_every_change,
                a_change_planned_on_another_version_is_refused_and_writes_nothing,
                of_two_changes_planned_on_one_version_the_first_holds,
                changes_of_facts_leave_the_version_alone,
                a_large_catalog_is_kept_in_order,
            }
            publishing {
                what_is_deleted_is_gone_and_comes_back_as_new,
                deleting_what_is_not_there_changes_nothing_else,
                users_with_a_granting_subscription_are_counted_once_a_package,
                a_feature_has_usage_once_it_was_recorded_counted_or_not,
                usage_that_is_not_committed_is_none,
            }
            transactions {
                what_is_not_committed_never_happened,
                a_change_that_fails_takes_everything_with_it,
                a_catalog_that_was_stale_leaves_nothing_of_its_transaction,
                a_writer_sees_its_own_changes_before_it_commits,
                nobody_else_sees_changes_before_they_are_committed,
                what_is_committed_is_seen_by_whoever_begins_to_read_after,
                a_reader_sees_one_instant_while_others_write,
                two_readers_see_each_their_own_instant,
                many_can_read_at_once,
                a_transaction_that_changes_nothing_can_be_committed,
                changes_of_both_environments_are_committed_together,
                writers_take_turns,
                only_one_of_many_creates_a_user,
            }
            isolation {
                the_same_user_in_two_environments_is_two_users,
                the_same_subscription_id_in_two_environments_is_two_subscriptions,
                the_same_counter_in_two_environments_counts_twice,
                the_same_idempotency_key_in_two_environments_is_two_keys,
                the_same_ids_in_two_catalogs_are_different_things,
                each_catalog_has_its_own_version,
                what_is_in_one_environment_is_nowhere_in_the_other,
            }
            jobs {
                a_job_is_claimed_by_one_when_it_is_due,
                a_job_that_is_not_committed_never_happened,
                jobs_are_claimed_in_the_order_in_which_they_are_due_and_as_many_as_there_is_room_for,
                jobs_differ_by_kind_key_and_environment,
                a_job_that_is_there_is_not_made_twice_but_brought_forward,
                a_job_that_is_scheduled_while_it_runs_runs_again,
                a_lease_that_is_renewed_lasts_and_one_that_ran_out_is_lost,
                a_job_that_is_done_is_gone,
                a_job_that_goes_on_keeps_where_it_is,
                a_job_that_fails_is_tried_again_after_its_pause,
                a_job_that_fails_is_not_brought_forward,
                a_dead_job_is_tried_again_only_when_somebody_wants_it,
                a_job_that_is_given_back_can_be_claimed_at_once,
                where_a_job_is_can_be_saved_with_other_changes_under_its_lease_only,
                the_bounds_of_what_is_kept_of_a_job_hold,
                a_clock_that_goes_back_makes_no_wait_longer,
                what_is_due_at_an_instant_waits_for_it_though_the_clock_went_back,
                of_many_who_claim_at_once_each_job_has_one,
                jobs_are_listed_with_those_first_that_need_somebody,
                whoever_waits_for_jobs_is_woken_by_a_commit_that_schedules_some,
                jobs_are_there_after_opening_again,
            }
            people {
                without_an_app_there_are_no_people,
                an_admin_is_kept_with_everything_and_changes,
                an_email_belongs_to_one_admin_whatever_the_case,
                a_number_of_an_admin_is_not_used_again,
                a_removed_admin_has_no_sessions_and_no_invitations,
                a_session_is_found_with_its_admin_and_the_app,
                one_session_too_many_ends_the_oldest_of_the_admin,
                sessions_end_one_by_one_or_all_but_one_or_all,
                an_invitation_works_once_and_until_it_expires,
                of_many_who_use_an_invitation_at_once_one_does,
                an_admin_has_one_invitation_and_all_have_a_hundred,
                what_has_ended_is_forgotten_and_nothing_else,
                a_form_is_claimed_by_one_and_leads_all_others_to_what_it_made,
                of_owners_who_are_all_removed_at_once_one_is_left,
                people_that_are_not_committed_are_not_there,
                the_app_gets_another_name,
                entries_of_no_environment_are_in_no_environments_log,
            }
            limit_crossings {
                whoever_crossed_last_comes_first_and_each_once,
                what_is_not_committed_has_crossed_nothing,
                crossings_of_periods_that_have_ended_are_left_out_and_deleted,
                a_user_who_crosses_keeps_that_with_another_id,
            }
            overrides {
                overrides_are_kept_as_they_are_set_each_for_its_user,
                an_override_that_is_not_committed_was_never_set,
                a_deleted_user_has_no_overrides,
            }
            grants {
                grants_are_kept_as_they_are_given_each_for_its_user,
                a_grant_that_is_not_committed_was_never_given,
                a_deleted_user_has_no_grants,
            }
            holds {
                holds_are_kept_as_they_are_made_each_for_its_user,
                holds_are_read_of_the_balances_that_are_asked_for,
                a_hold_that_is_not_committed_was_never_made,
                holds_follow_their_user,
                holds_that_are_over_are_forgotten_some_at_a_time,
            }
            thresholds {
                threshold_events_are_listed_in_the_order_of_their_ids,
                threshold_events_follow_their_user,
                old_threshold_events_are_forgotten_some_at_a_time,
                a_counter_keeps_its_marks_wherever_it_is,
                a_key_is_forgotten_and_kept_again_with_what_it_counted,
            }
            usage_statistics {
                usage_is_in_the_day_in_which_it_occurred,
                what_draws_on_a_balance_is_in_the_day_of_both,
                usage_that_is_not_committed_is_in_no_day,
                the_features_with_the_most_events_come_first,
                usage_is_the_same_however_much_of_it_is_folded,
                of_many_who_record_and_fold_at_once_none_counts_twice,
                the_usage_of_old_days_is_forgotten_oldest_first,
                an_amount_that_is_too_large_stays_at_the_largest,
                usage_of_the_first_and_the_last_day_there_is_can_be_read,
                a_new_database_knows_the_usage_of_every_day,
            }
            survival {
                everything_that_was_committed_is_there_after_opening_again,
                what_was_not_committed_is_not_there_after_opening_again,
                an_empty_database_can_be_opened_again,
                work_goes_on_where_it_stopped,
            }
            transfer {
                what_is_exported_and_imported_is_the_same,
                an_imported_database_goes_on_where_the_other_stopped,
                one_environment_comes_alone_and_the_other_is_there_empty,
                a_database_with_an_app_takes_no_import,
                a_database_without_an_app_has_nothing_to_export,
                an_import_that_fails_leaves_nothing,
                draws_that_do_not_add_up_are_not_imported,
                an_export_is_of_one_instant_while_others_write,
                a_file_without_usage_by_day_says_since_when_it_is_complete,
            }
            user_deletion {
                the_ids_of_a_deleted_user_stand_nowhere_and_those_of_others_stay,
                counters_and_events_of_a_deleted_user_stay_but_for_their_metadata,
            }
            user_imports {
                an_import_is_kept_in_its_environment_and_changes,
                lines_of_a_kind_are_read_in_the_order_of_the_file,
                a_name_is_found_with_its_line_and_stands_once,
                who_has_an_email_is_found_exactly,
                an_import_is_forgotten_in_pieces_and_itself_last,
                of_many_who_change_an_import_at_once_each_sees_what_the_others_did,
            }
        }
    };
}

macro_rules! stories_of_several_who_write_on {
    ($engine:ty) => {
        tests! {
            $engine;
            sharing {
                two_who_open_the_same_database_see_what_the_other_wrote,
                two_who_open_the_same_database_do_not_lose_each_others_changes,
            }
        }
    };
}

macro_rules! stories_of_who_forgets_keys_in_runs_on {
    ($engine:ty) => {
        tests! {
            $engine;
            old_keys {
                old_keys_are_forgotten_together_and_no_younger_ones,
            }
        }
    };
}

/// Events of several connections lie apart, so what tells their order is when they were recorded.
macro_rules! stories_of_who_orders_events_by_time_on {
    ($engine:ty) => {
        tests! {
            $engine;
            transfer {
                events_are_exported_by_when_they_were_recorded,
            }
        }
    };
}

mod sqlite {
    every_story_on!(crate::engine::Sqlite);
    stories_of_who_forgets_keys_in_runs_on!(crate::engine::Sqlite);
    stories_of_several_who_write_on!(crate::engine::Sqlite);
}

mod sqlite_of_a_server {
    every_story_on!(crate::engine::SqliteOfAServer);
    stories_of_who_forgets_keys_in_runs_on!(crate::engine::SqliteOfAServer);
}

mod sqlite_of_three_users {
    every_story_on!(crate::engine::SqliteOfThreeUsers);
}

mod postgres {
    every_story_on!(crate::engine::Postgres);
    stories_of_several_who_write_on!(crate::engine::Postgres);
}

mod postgres_by_time {
    stories_of_who_orders_events_by_time_on!(crate::engine::Postgres);
}

mod pooled_postgres {
    every_story_on!(crate::engine::PooledPostgres);
    stories_of_several_who_write_on!(crate::engine::PooledPostgres);
}
