//! The simulator finds nothing wrong with Kana, and whatever is made wrong.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

use std::time::Instant;

use kana_simulator::{Flaw, history, run, simulate};
use kana_test_model::mistake::Mistake;
use kana_test_model::model::Model;

/// How many steps a simulation has where `KANA_SIMULATE_STEPS` does not say.
const STEPS: usize = 2_500;

/// How many steps it may take until what is wrong is found.
const FOUND_WITHIN: usize = 6_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

fn finds_nothing(seed: u64, steps: usize) {
    eprintln!("KANA_SIMULATE_SEED={seed} KANA_SIMULATE_STEPS={steps}");
    let since = Instant::now();
    match simulate(seed, steps, None, &Model::default()) {
        Ok(simulated) => eprintln!("{simulated:?} in {:?}", since.elapsed()),
        Err(found) => {
            let after = found.after_steps;
            panic!("after {after} steps in {:?}: {}", since.elapsed(), found.shrunk());
        }
    }
}

#[test]
fn kana_keeps_its_word_whatever_its_database_does() {
    let seed = number("KANA_SIMULATE_SEED").unwrap_or(1);
    let steps = number("KANA_SIMULATE_STEPS").map_or(STEPS, |steps| steps.try_into().unwrap());
    finds_nothing(seed, steps);
}

#[test]
fn kana_keeps_its_word_in_the_same_histories_each_time() {
    for seed in [5, 9] {
        finds_nothing(seed, 500);
    }
}

#[test]
fn a_history_goes_the_same_way_each_time() {
    for seed in 0..4 {
        let history = history(seed, 120);
        let summary = || run(&history, None, Model::default()).unwrap();
        assert_eq!(summary(), summary(), "seed {seed}");
    }
}

/// Finds what is wrong with a server.
fn finds(flaw: Flaw) {
    let Err(found) = simulate(1, FOUND_WITHIN, Some(flaw), &Model::default()) else {
        panic!("{flaw:?} is not found within {FOUND_WITHIN} steps");
    };
    eprintln!("{flaw:?} is found after {} steps", found.after_steps);
}

#[test]
fn a_server_that_reads_after_its_commit_is_found() {
    finds(Flaw::ReadsAfterCommit);
}

#[test]
fn a_server_that_carries_out_again_what_it_cannot_answer_is_found() {
    finds(Flaw::CarriesOutAgain);
}

#[test]
fn a_server_that_asks_again_what_was_refused_is_found() {
    finds(Flaw::AsksAgain);
}

#[test]
fn a_store_that_takes_lost_commits_for_done_is_found() {
    finds(Flaw::TakesLostCommitsForDone);
}

#[test]
fn a_store_that_takes_commits_for_lost_is_found() {
    finds(Flaw::TakesCommitsForLost);
}

#[test]
fn a_model_that_is_wrong_in_one_thing_explains_no_simulation() {
    explains_none(Mistake::ALL.into_iter().step_by(2));
}

#[test]
fn a_model_that_is_wrong_in_another_thing_explains_none_either() {
    explains_none(Mistake::ALL.into_iter().skip(1).step_by(2));
}

/// Half of the mistakes, so that the other half is looked for at the same time.
fn explains_none(mistakes: impl Iterator<Item = Mistake>) {
    for mistake in mistakes {
        let Err(found) = simulate(1, FOUND_WITHIN, None, &Model::with(mistake)) else {
            panic!("{mistake:?} is not found within {FOUND_WITHIN} steps");
        };
        eprintln!("{mistake:?} is found after {} steps", found.after_steps);
    }
}
