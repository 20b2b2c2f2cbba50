//! Running the scripts in `web`, which are clients in JavaScript.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::process::{Server, text};

/// Runs the script against the server and answers what it printed. It must succeed.
pub(crate) fn run(script: &str, server: &Server, variables: &[(&str, &str)]) -> String {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/program/web");
    assert!(web.join("node_modules").exists(), "the packages are missing: ./test installs them");
    // A browser keeps its profile here, which is gone with the directory even if it crashes.
    let temporary = TempDir::new().unwrap();
    let output = Command::new("node")
        .arg(web.join(script))
        .env("TMPDIR", temporary.path())
        .env("KANA_URL", &server.url)
        .envs(variables.iter().copied())
        .output()
        .expect("Node is missing: ./test installs it");
    let printed = text(&output.stdout);
    assert!(output.status.success(), "{printed}{}", text(&output.stderr));
    printed.to_owned()
}
