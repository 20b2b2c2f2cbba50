//! Finds out which commit is built and of which day it is, for `kana --version`, `kana_build_info` and the
//! first line of the log. Also packs the program's relocations.

use std::process::Command;

/// The number of hexadecimal digits of a commit that are shown.
const DIGITS: usize = 10;

fn main() {
    println!("cargo::rerun-if-env-changed=KANA_COMMIT");
    // A build of a copy without the repository may name its commit and its day.
    let given = std::env::var("KANA_COMMIT").ok().filter(|commit| !commit.is_empty());
    let commit = given.or_else(of_repository).unwrap_or_else(|| "unknown".to_owned());
    let shown: String = commit.chars().take(DIGITS).collect();
    println!("cargo::rustc-env=KANA_COMMIT={shown}");
    println!("cargo::rerun-if-env-changed=KANA_DATE");
    let given = std::env::var("KANA_DATE").ok().filter(|date| !date.is_empty());
    let date = given.or_else(|| git(&["show", "--no-patch", "--format=%cs", "HEAD"]));
    println!("cargo::rustc-env=KANA_DATE={}", date.unwrap_or_else(|| "unknown".to_owned()));
    if reads_packed_relocations() {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// Returns true if programs of the target can have packed relocations, which take some kilobytes instead
/// of 0.9 MB. glibc reads them since 2.36; musl's loader is part of a static program.
fn reads_packed_relocations() -> bool {
    let is_native = std::env::var("HOST") == std::env::var("TARGET");
    match std::env::var("CARGO_CFG_TARGET_ENV").as_deref() {
        Ok("musl") => true,
        Ok("gnu") => is_native && glibc_version().is_some_and(|version| version >= (2, 36)),
        _ => false,
    }
}

/// Returns the version of this machine's glibc.
fn glibc_version() -> Option<(u32, u32)> {
    let version = output("getconf", &["GNU_LIBC_VERSION"])?;
    let (major, minor) = version.strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn of_repository() -> Option<String> {
    // Whenever the head moves, a line is added here.
    let log = git(&["rev-parse", "--path-format=absolute", "--git-path", "logs/HEAD"])?;
    println!("cargo::rerun-if-changed={log}");
    git(&["rev-parse", "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    output("git", arguments)
}

/// Returns what a program prints, if it succeeds and prints anything.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim();
    (output.status.success() && !text.is_empty()).then(|| text.to_owned())
}
