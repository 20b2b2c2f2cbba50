//! A collector of traces: a small server that reads what is exported to it with the messages of OpenTelemetry.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kana_test_postgres::Certificate;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// How long spans may take to come.
const EXPORT_TIME: Duration = Duration::from_secs(30);

/// What a collector answers to a request.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    /// With this status, and more lines of the head.
    Status(u16, &'static str),
    /// Never.
    Nothing,
}

/// A collector on a free port.
pub(crate) struct Collector {
    pub(crate) url: String,
    received: Arc<Mutex<Vec<Received>>>,
}

/// A request that a collector got.
#[derive(Clone)]
pub(crate) struct Received {
    /// In small letters.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

impl Collector {
    /// Starts a collector that takes everything.
    pub(crate) fn start() -> Self {
        Self::start_with(&[Answer::Status(200, "")])
    }

    /// Starts a collector with these answers, the last of them for all further requests.
    pub(crate) fn start_with(answers: &[Answer]) -> Self {
        Self::serve("http://127.0.0.1", answers, |socket| Box::new(socket))
    }

    /// Starts a collector that speaks TLS, and takes everything.
    pub(crate) fn start_tls(certificate: &Certificate) -> Self {
        let chain = CertificateDer::from_pem_slice(certificate.chain.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![chain], key)
            .unwrap();
        let config = Arc::new(config);
        Self::serve("https://localhost", &[Answer::Status(200, "")], move |socket| {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            Box::new(rustls::StreamOwned::new(connection, socket))
        })
    }

    fn serve(
        base: &str,
        answers: &[Answer],
        stream: impl Fn(std::net::TcpStream) -> Box<dyn Stream> + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("{base}:{}", listener.local_addr().unwrap().port());
        let received = Arc::new(Mutex::new(Vec::new()));
        let (all, answers) = (Arc::clone(&received), answers.to_vec());
        // It ends with the process of the test.
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let (stream, all, answers) = (stream(socket), Arc::clone(&all), answers.clone());
                std::thread::spawn(move || answer_all(stream, &all, &answers));
            }
        });
        Self { url, received }
    }

    /// Returns what it got so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Returns the requests to export, as they are read with the messages of OpenTelemetry.
    pub(crate) fn exported(&self) -> Vec<ExportTraceServiceRequest> {
        let read = |it: &Received| ExportTraceServiceRequest::decode(it.body.as_slice()).unwrap();
        self.received().iter().map(read).collect()
    }

    /// Returns the spans that it got so far.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let resources = self.exported().into_iter().flat_map(|request| request.resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }

    /// Waits until it got so many requests.
    pub(crate) fn await_requests(&self, count: usize) {
        let since = Instant::now();
        while self.received.lock().unwrap().len() < count {
            assert!(since.elapsed() < EXPORT_TIME, "no {count} requests came");
            std::thread::yield_now();
        }
    }
}

/// Answers the requests of a connection, one after the other.
fn answer_all(stream: Box<dyn Stream>, received: &Mutex<Vec<Received>>, answers: &[Answer]) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream) {
        let number = {
            let mut received = received.lock().unwrap();
            received.push(request);
            received.len() - 1
        };
        match answers[number.min(answers.len() - 1)] {
            Answer::Status(status, head) => {
                let answer = format!("HTTP/1.1 {status} X\r\n{head}Content-Length: 0\r\n\r\n");
                let written = stream.get_mut().write_all(answer.as_bytes());
                if written.and_then(|()| stream.get_mut().flush()).is_err() {
                    return;
                }
            }
            // Reads on, as who hangs does not.
            Answer::Nothing => drop(stream.read_to_end(&mut Vec::new())),
        }
    }
}

fn read(stream: &mut BufReader<Box<dyn Stream>>) -> Option<Received> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let head = head.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let mut body = vec![0; length.unwrap().trim().parse().unwrap()];
    stream.read_exact(&mut body).ok()?;
    Some(Received { head, body })
}

/// Returns the text of an attribute; that of a list has its texts between commas.
pub(crate) fn attribute(attributes: &[KeyValue], name: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == name)?;
    Some(shown(found.value.clone()?.value?))
}

fn shown(value: Value) -> String {
    match value {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        Value::ArrayValue(array) => {
            let texts = array.values.into_iter().filter_map(|value| value.value).map(shown);
            texts.collect::<Vec<_>>().join(",")
        }
        other => panic!("no value of ours: {other:?}"),
    }
}
