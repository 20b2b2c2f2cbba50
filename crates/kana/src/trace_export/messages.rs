//! The messages of OTLP that we send and get, as far as we use them. Field numbers are those of
//! `opentelemetry/proto/trace/v1/trace.proto` and of what it imports.

use kana_telemetry::spans::{Span, SpanKind, Value};
use kana_telemetry::{SpanContext, TraceState};
use prost::Message;

/// Who records.
const SCOPE: &str = "kana";
/// A span is sampled; whether its parent is in another process is known, and it is.
const SAMPLED: u32 = 1;
const KNOWS_PARENT: u32 = 0x100;
const PARENT_IS_REMOTE: u32 = 0x200;
const STATUS_ERROR: i32 = 2;

/// Writes a request that exports spans. `resource` says what they are of.
pub(super) fn request(resource: &[(String, String)], spans: &[Span]) -> Vec<u8> {
    let attributes = resource.iter().map(|(name, value)| attribute(name, text(value))).collect();
    let scope = InstrumentationScope {
        name: SCOPE.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let scope = ScopeSpans { scope: Some(scope), spans: spans.iter().map(span).collect() };
    let resource = ResourceSpans { resource: Some(Resource { attributes }), scopes: vec![scope] };
    ExportRequest { resources: vec![resource] }.encode_to_vec()
}

/// Returns how many spans of a request the collector did not take although it answered that all is well.
pub(super) fn rejected(answer: &[u8]) -> u64 {
    let answer = ExportAnswer::decode(answer).unwrap_or_default();
    answer.partial.map_or(0, |partial| u64::try_from(partial.rejected).unwrap_or(0))
}

fn span(span: &Span) -> SpanMessage {
    let kind = match span.kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
    };
    let is_remote = span.kind == SpanKind::Server && span.parent.is_some();
    let remote = if is_remote { PARENT_IS_REMOTE } else { 0 };
    SpanMessage {
        trace_id: span.context.trace_id.to_bytes().to_vec(),
        span_id: span.context.span_id.to_bytes().to_vec(),
        trace_state: span.trace_state.as_ref().map_or("", TraceState::as_str).to_owned(),
        parent_span_id: span.parent.map_or_else(Vec::new, |parent| parent.to_bytes().to_vec()),
        name: span.name.clone().into_owned(),
        kind,
        began_ns: span.began_ns,
        ended_ns: span.ended_ns,
        attributes: span.attributes.iter().map(|(name, it)| attribute(name, value(it))).collect(),
        links: span.links.iter().map(link).collect(),
        links_left_out: span.links_left_out,
        status: span.is_error.then_some(Status { code: STATUS_ERROR }),
        flags: SAMPLED | KNOWS_PARENT | remote,
    }
}

fn link(to: &SpanContext) -> Link {
    Link {
        trace_id: to.trace_id.to_bytes().to_vec(),
        span_id: to.span_id.to_bytes().to_vec(),
        flags: SAMPLED,
    }
}

fn attribute(name: &str, value: AnyValue) -> KeyValue {
    KeyValue { key: name.to_owned(), value: Some(value) }
}

fn text(text: &str) -> AnyValue {
    AnyValue { value: Some(any_value::Value::Text(text.to_owned())) }
}

fn value(value: &Value) -> AnyValue {
    match value {
        Value::Text(it) => text(it),
        Value::Number(number) => AnyValue { value: Some(any_value::Value::Number(*number)) },
        Value::Names(names) => {
            let values = names.iter().map(|name| text(name)).collect();
            AnyValue { value: Some(any_value::Value::Array(ArrayValue { values })) }
        }
    }
}

#[derive(Message)]
struct ExportRequest {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<ResourceSpans>,
}

#[derive(Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<ScopeSpans>,
}

#[derive(Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Message)]
struct ScopeSpans {
    #[prost(message, optional, tag = "1")]
    scope: Option<InstrumentationScope>,
    #[prost(message, repeated, tag = "2")]
    spans: Vec<SpanMessage>,
}

#[derive(Message)]
struct InstrumentationScope {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    version: String,
}

#[derive(Message)]
struct SpanMessage {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(string, tag = "3")]
    trace_state: String,
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(int32, tag = "6")]
    kind: i32,
    #[prost(fixed64, tag = "7")]
    began_ns: u64,
    #[prost(fixed64, tag = "8")]
    ended_ns: u64,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<KeyValue>,
    #[prost(message, repeated, tag = "13")]
    links: Vec<Link>,
    #[prost(uint32, tag = "14")]
    links_left_out: u32,
    #[prost(message, optional, tag = "15")]
    status: Option<Status>,
    #[prost(fixed32, tag = "16")]
    flags: u32,
}

#[derive(Message)]
struct Link {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(fixed32, tag = "6")]
    flags: u32,
}

#[derive(Message)]
struct Status {
    #[prost(int32, tag = "3")]
    code: i32,
}

#[derive(Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Message)]
struct AnyValue {
    #[prost(oneof = "any_value::Value", tags = "1, 3, 5")]
    value: Option<any_value::Value>,
}

mod any_value {
    use super::ArrayValue;

    #[derive(prost::Oneof)]
    pub(super) enum Value {
        #[prost(string, tag = "1")]
        Text(String),
        #[prost(int64, tag = "3")]
        Number(i64),
        #[prost(message, tag = "5")]
        Array(ArrayValue),
    }
}

#[derive(Message)]
struct ArrayValue {
    #[prost(message, repeated, tag = "1")]
    values: Vec<AnyValue>,
}

#[derive(Message)]
struct ExportAnswer {
    #[prost(message, optional, tag = "1")]
    partial: Option<PartialSuccess>,
}

#[derive(Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected: i64,
}
