//! Runs the stand-in Stripe server by itself.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::Parser;
use kana_test_stripe::{API_VERSION, Delivery, StripeServer};

/// A stand-in for Stripe: answers its API from memory and sends signed webhooks
///
/// It knows customers, products, prices, subscriptions with their items, checkout sessions with a page to pay on,
/// billing meters, events and the account. No money moves, and all is forgotten when it ends.
///
/// Call it as Stripe: curl localhost:12111/v1/customers -H 'Authorization: Bearer sk_test_try' -d name=Ann
///
/// Let the next call fail: curl localhost:12111/_control/faults -d kind=too_many_requests -d retry_after=2
#[derive(Parser)]
#[command(name = "kana-test-stripe")]
struct Arguments {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:12111")]
    listen: SocketAddr,
    /// Secret key to accept (sk_test_…, rk_test_…, sk_live_…, rk_live_…); can be given several times
    #[arg(long = "key", default_value = "sk_test_try", value_name = "KEY")]
    keys: Vec<String>,
    /// Where events are sent, beginning with http://
    #[arg(long, requires = "webhook_secret", value_name = "URL")]
    webhook_url: Option<String>,
    /// Secret that events are signed with
    #[arg(long, requires = "webhook_url", value_name = "SECRET")]
    webhook_secret: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to be told if this fails.
            let _ = writeln!(std::io::stderr(), "kana-test-stripe: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let listen = arguments.listen;
    let server =
        StripeServer::start(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    for key in &arguments.keys {
        let added = server.add_key(key);
        ensure!(
            added,
            "{key} is not a key: it must begin with sk_test_, rk_test_, sk_live_ or rk_live_"
        );
    }
    if let (Some(url), Some(secret)) = (&arguments.webhook_url, &arguments.webhook_secret) {
        server.set_webhook(url, secret, Delivery::InOrder)?;
    }
    let url = server.url();
    writeln!(std::io::stdout(), "Stripe API {API_VERSION} at {url}, until Ctrl-C")?;
    tokio::signal::ctrl_c().await?;
    Ok(())
}
