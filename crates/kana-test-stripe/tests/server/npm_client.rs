use std::path::Path;
use std::time::Duration;

use kana_test_stripe::verify;
use serde_json::Value;
use tokio::process::Command;

use crate::client::{KEY, World};

/// How long the client may take.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn the_official_client_is_content() {
    let world = World::new().await;
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kana/tests/program/web");
    assert!(web.join("node_modules").exists(), "the packages are missing: ./test installs them");
    let mut node = Command::new("node");
    node.arg(web.join("stripe.mjs")).env("STRIPE_URL", world.server.url()).env("STRIPE_KEY", KEY);
    let output = tokio::time::timeout(PATIENCE, node.kill_on_drop(true).output()).await;
    let output = output.expect("the client waits").expect("Node is missing: ./test installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let signed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let [payload, secret, header] =
        ["payload", "secret", "header"].map(|name| signed[name].as_str().unwrap());
    let timestamp = signed["timestamp"].as_i64().unwrap();
    assert!(verify(secret, header, payload.as_bytes(), timestamp, 300), "{header}");
    assert!(!verify("whsec_other", header, payload.as_bytes(), timestamp, 300), "{header}");
}
