//! User tokens issued by several nodes.

use futures_util::future::join_all;

use crate::world::{World, user_id};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_first_tokens_of_an_environment_make_one_secret_on_two_nodes() {
    let Some(world) = World::new(10).await else {
        return;
    };
    let issuing = (0..32).map(|number| {
        let node = world.nodes[number % 2].clone();
        tokio::spawn(async move { node.issue_user_token(&user_id("ada")).await.unwrap() })
    });
    let tokens: Vec<String> = join_all(issuing).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(world.count("token_secrets"), 1);
    // Issued at the same time for the same user, tokens can differ only by the secret.
    assert!(tokens.iter().all(|token| *token == tokens[0]));
    world.finish().await;
}
