//! A server that reads each request to its end and answers a constant: what the HTTP stack costs
//! before anybody has thought. It has the libraries, the runtime and the allocator of the program
//! `kana`, and serves as `axum` does by itself: what Kana adds to that is part of what is measured.

use std::process::ExitCode;

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::routing::post;
use tokio::net::TcpListener;

use crate::args::ConstantArgs;

/// The line that says where it listens begins so.
pub(crate) const LISTENING: &str = "listening on ";

/// Serves until the process is killed.
#[tokio::main]
pub(crate) async fn run(args: ConstantArgs) -> Result<ExitCode> {
    let answer = Bytes::from(args.answer);
    let media_type = axum::http::HeaderValue::from_str(&args.media_type)?;
    let route = post(move |_body: Bytes| {
        let answer = ([(CONTENT_TYPE, media_type.clone())], answer.clone());
        async move { answer }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{LISTENING}{}", listener.local_addr()?);
    axum::serve(listener, Router::new().route("/graphql", route)).await?;
    Ok(ExitCode::SUCCESS)
}
