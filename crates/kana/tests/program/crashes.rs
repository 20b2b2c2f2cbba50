//! A server that is killed at any moment, while usage is told to it.

use tempfile::TempDir;

use crate::ledger::{Client, prepare, seed};
use crate::load::Load;
use crate::process::Server;

const KILLS: usize = 8;

#[test]
fn what_is_told_while_the_server_is_killed_counts_once() {
    let dir = TempDir::new().unwrap();
    let mut random = fastrand::Rng::with_seed(seed());
    let (mut server, key) = Server::start_new(&dir);
    prepare(&server, &key);
    let load = Load::start(&server, &key, &mut random);
    for _ in 0..KILLS {
        load.await_answers(random.usize(1..150));
        server.signal("KILL");
        server.wait();
        // Somebody was in the middle of something, or notices now that the server is gone.
        load.await_failures(1);
        server = Server::start(dir.path());
        load.move_to(&server);
    }
    let told = load.finish();
    server.signal("KILL");
    server.wait();
    told.assert_kept(dir.path());

    let mut server = Server::start(dir.path());
    told.assert_repeats(&server, &Client::new(&key));
    server.signal("TERM");
    assert!(server.wait().0.success());
    told.assert_kept(dir.path());
}
