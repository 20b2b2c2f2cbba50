//! Real clients: the back end in Ruby that the main job is for, and the walk through it in the
//! README, as it would be pasted.

use std::path::PathBuf;
use std::process::Command;

use crate::engines::engines;
use crate::node;
use crate::process::text;

#[test]
fn a_ruby_back_end_does_the_main_job() {
    for engine in engines() {
        let (server, key) = engine.start();
        let script =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/program/ruby/main_job.rb");
        let output = Command::new("ruby")
            .arg(script)
            .env("KANA_URL", &server.url)
            .env("KANA_DEV_KEY", key)
            .output()
            .expect("Ruby is missing: ./test installs it");
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(text(&output.stdout), "the main job is done\n");
    }
}

#[test]
fn the_walk_in_the_readme_works_when_it_is_pasted() {
    let readme = include_str!("../../../../README.md");
    let walk = readme.split("## A walk through the main job").nth(1).unwrap();
    let walk = walk.split("\n## ").next().unwrap();
    // Every second part lies within a fence.
    let (mut commands, mut answers) = (String::new(), Vec::new());
    for fenced in walk.split("```").skip(1).step_by(2) {
        match fenced.split_once('\n').unwrap() {
            ("sh", lines) if lines.contains("prv_test_") => {}
            ("sh", lines) => commands.push_str(lines),
            ("json", answer) => answers.push(answer.trim()),
            (language, _) => panic!("what is {language}?"),
        }
    }
    assert!(answers.len() >= 3, "the walk shows what to expect");

    for engine in engines() {
        let (server, key) = engine.start();
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c"])
            .arg(commands.replace("http://127.0.0.1:4000", &server.url))
            .env("KANA_DEV_KEY", key)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let printed: Vec<&str> = text(&output.stdout).lines().collect();
        assert_eq!(printed, answers);
    }
}

/// The program in the guide that is written in `language`, and what it prints.
fn in_guide(language: &str) -> (&'static str, &'static str) {
    let guide = include_str!("../../../../docs/guide.md");
    let program = guide.split(&format!("```{language}\n")).nth(1).unwrap();
    let (program, after) = program.split_once("```").unwrap();
    let printed = after.split("```text\n").nth(1).unwrap();
    (program, printed.split_once("```").unwrap().0)
}

#[test]
fn the_programs_in_the_guide_print_what_it_says() {
    for (language, run) in [
        ("sh", &["bash", "-euo", "pipefail", "-c"][..]),
        ("ruby", &["ruby", "-e"]),
        ("js", &["node", "-e"]),
    ] {
        let (program, printed) = in_guide(language);
        for engine in engines() {
            let (server, key) = engine.start();
            let output = Command::new(run[0])
                .args(&run[1..])
                .arg(program)
                .env("KANA_URL", &server.url)
                .env("KANA_DEV_KEY", key)
                .output()
                .unwrap_or_else(|error| {
                    panic!("{} is missing: {error}; ./test installs it", run[0])
                });
            assert!(output.status.success(), "{language}: {}", text(&output.stderr));
            assert_eq!(text(&output.stdout), printed, "{language}");
        }
    }
}

#[test]
fn the_cloudevents_sdk_for_javascript_sends_usage_unchanged_in_both_modes() {
    for engine in engines() {
        let (server, key) = engine.start();
        let out = node::run("cloudevents.mjs", &server, &[("KANA_DEV_KEY", &key)]);
        assert_eq!(out, "the SDK sends usage\n");
    }
}
