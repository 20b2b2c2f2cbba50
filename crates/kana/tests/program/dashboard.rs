//! The dashboard in Debian's Chromium, from the link of the first start on.

use tempfile::TempDir;

use crate::node;
use crate::process::{Server, run, text};

/// `browser` says how it is: wide or a phone, light or dark, with or without a script. Returns what the
/// script printed.
fn walk(script: &str, browser: &str) -> String {
    let dir = TempDir::new().unwrap();
    let init = run(dir.path(), &["init"]);
    let lines: Vec<&str> = text(&init.stdout).lines().collect();
    let after = |sign| lines.iter().find_map(|line| Some(line.split_once(sign)?.1)).unwrap();
    let (key, token) = (after("KANA_DEV_KEY="), after("token="));
    let server = Server::start(dir.path());
    node::run(script, &server, &[("TOKEN", token), ("KANA_KEY", key), ("BROWSER", browser)])
}

fn newcomer_walks(browser: &str) {
    assert_eq!(walk("dashboard.mjs", browser), "the newcomer has seen usage\n");
}

fn every_page_is_fit_to_be_seen(browser: &str) {
    assert_eq!(walk("busy_app.mjs", browser), "every page is fit to be seen\n");
}

#[test]
fn a_newcomer_finds_the_way_from_the_printed_link() {
    newcomer_walks("wide light");
}

#[test]
fn a_newcomer_finds_the_way_on_a_phone_in_the_dark() {
    newcomer_walks("phone dark");
}

#[test]
fn a_newcomer_finds_the_way_without_a_script() {
    newcomer_walks("wide dark without-script");
}

#[test]
fn pages_with_much_on_them_are_fit_to_be_seen() {
    every_page_is_fit_to_be_seen("wide light");
}

#[test]
fn pages_with_much_on_them_are_fit_to_be_seen_on_a_phone_in_the_dark() {
    every_page_is_fit_to_be_seen("phone dark");
}
