use std::io;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::HeaderMap;
use hyper::{Request, client};
use hyper_util::rt::TokioIo;
use kana_test_stripe::StripeServer;
use serde_json::Value;
use tokio::net::TcpStream;

pub(crate) const KEY: &str = "sk_test_of_the_tests";

/// A server of one's own, and calls of its API.
pub(crate) struct World {
    pub(crate) server: StripeServer,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn error(&self, name: &str) -> String {
        self.json()["error"][name].as_str().unwrap_or_default().to_owned()
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        let server = StripeServer::start(([127, 0, 0, 1], 0).into()).await.unwrap();
        assert!(server.add_key(KEY));
        World { server }
    }

    /// Sends a request on a connection of its own. Fails if it is cut.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        form: &str,
        headers: &[(&str, &str)],
    ) -> io::Result<Answer> {
        let stream = TcpStream::connect(self.server.address()).await?;
        let (mut sender, connection) =
            client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header("host", "stripe");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(form.to_owned()))).unwrap();
        let (head, body) =
            sender.send_request(request).await.map_err(io::Error::other)?.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, text })
    }

    pub(crate) async fn call(&self, method: &str, path: &str, form: &str) -> Answer {
        let key = format!("Bearer {KEY}");
        self.send(method, path, form, &[("authorization", &key)]).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.call("GET", path, "").await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    pub(crate) async fn post(&self, path: &str, form: &str) -> Value {
        let answer = self.call("POST", path, form).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    /// Creates an object and answers its id.
    pub(crate) async fn create(&self, path: &str, form: &str) -> String {
        self.post(path, form).await["id"].as_str().unwrap().to_owned()
    }

    /// Creates a monthly price of a new product.
    pub(crate) async fn monthly_price(&self) -> String {
        let form = "currency=gbp&unit_amount=500&recurring[interval]=month&product_data[name]=Pro";
        self.create("/v1/prices", form).await
    }

    /// Sends the creation of a customer with an idempotency key.
    pub(crate) async fn create_customer_with(&self, key: &str, form: &str) -> io::Result<Answer> {
        let authorization = format!("Bearer {KEY}");
        let headers = [("authorization", authorization.as_str()), ("idempotency-key", key)];
        self.send("POST", "/v1/customers", form, &headers).await
    }

    pub(crate) async fn customers(&self) -> usize {
        self.get("/v1/customers?limit=100").await["data"].as_array().unwrap().len()
    }
}
