//! Forms with a file (`multipart/form-data`), which is read as it arrives.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use kana_http::body::{BodyError, RequestBody};
use multer::{Constraints, Field, Multipart, SizeLimit};

use crate::form::Form;
use crate::problem::Problem;

/// The most bytes of a form with a file: a file of 50 MB and the other fields.
const BYTES_MAX: u64 = 51_000_000;
/// The most bytes of a field that is no file.
const FIELD_BYTES_MAX: usize = 4096;
/// How many bytes may arrive without the end of what is being read, as the head of a field.
const AHEAD_BYTES_MAX: usize = 512 * 1024;
/// The most fields before the file.
const FIELDS_MAX: usize = 20;

/// A form with a file that arrives.
pub(crate) struct FormReader {
    multipart: Multipart<'static>,
    /// How many bytes have arrived since the last step.
    ahead: Arc<AtomicUsize>,
}

/// A file that arrives.
pub(crate) struct UploadedFile {
    reader: FormReader,
    field: Field<'static>,
}

impl FormReader {
    /// Begins to read a form. Fails with [`Forged`](Problem::Forged) if it is none with a file, since no
    /// page of ours sends another.
    pub(crate) fn new(headers: &HeaderMap, body: RequestBody) -> Result<Self, Problem> {
        let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let boundary = multer::parse_boundary(media_type.unwrap_or_default());
        let boundary = boundary.map_err(|_| Problem::Forged)?;
        let limits = SizeLimit::new().whole_stream(BYTES_MAX);
        let pieces = stream::unfold(body, async |mut body| {
            let piece = body.next().await.transpose()?;
            Some((piece, body))
        });
        let ahead = Arc::new(AtomicUsize::new(0));
        let pieces =
            OneByOne { pieces: pieces.boxed(), is_given: false, ahead: Arc::clone(&ahead) };
        let constraints = Constraints::new().size_limit(limits);
        Ok(Self { multipart: Multipart::with_constraints(pieces, boundary, constraints), ahead })
    }

    async fn next_field(&mut self) -> Result<Option<Field<'static>>, Problem> {
        self.ahead.store(0, Ordering::Relaxed);
        self.multipart.next_field().await.map_err(|error| unreadable(&error))
    }

    async fn next_piece(&self, field: &mut Field<'static>) -> Result<Option<Bytes>, Problem> {
        self.ahead.store(0, Ordering::Relaxed);
        field.chunk().await.map_err(|error| unreadable(&error))
    }

    /// Returns what stands in a field that is no file.
    async fn text(&self, mut field: Field<'static>) -> Result<String, Problem> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.next_piece(&mut field).await? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > FIELD_BYTES_MAX {
                let sentence = format!("A field has at most {FIELD_BYTES_MAX} bytes.");
                return Err(Problem::Unreadable(StatusCode::PAYLOAD_TOO_LARGE, sentence));
            }
        }
        String::from_utf8(bytes).map_err(|_| {
            Problem::Unreadable(StatusCode::BAD_REQUEST, "A field is not UTF-8.".to_owned())
        })
    }

    /// Returns the first field, which must have this name; empty if it has another.
    pub(crate) async fn first(&mut self, name: &str) -> Result<String, Problem> {
        match self.next_field().await? {
            Some(field) if field.name() == Some(name) => self.text(field).await,
            _ => Ok(String::new()),
        }
    }

    /// Returns the fields before the file, and the file; `None` if there is none.
    pub(crate) async fn up_to_file(mut self) -> Result<(Form, Option<UploadedFile>), Problem> {
        let mut fields = Vec::new();
        while let Some(field) = self.next_field().await? {
            let name = field.name().unwrap_or_default().to_owned();
            if let Some(file_name) = field.file_name() {
                // A browser sends an unnamed file where none was chosen.
                let is_chosen = !file_name.is_empty();
                let file = is_chosen.then_some(UploadedFile { reader: self, field });
                return Ok((form(&fields), file));
            }
            if fields.len() == FIELDS_MAX {
                let sentence = format!("A form with a file has at most {FIELDS_MAX} fields.");
                return Err(Problem::Unreadable(StatusCode::PAYLOAD_TOO_LARGE, sentence));
            }
            fields.push((name, self.text(field).await?));
        }
        Ok((form(&fields), None))
    }
}

impl UploadedFile {
    /// Returns the next bytes of the file; `None` at its end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        self.reader.next_piece(&mut self.field).await
    }

    /// Fails if the form has more after the file: that would not have been regarded.
    pub(crate) async fn end(self) -> Result<(), Problem> {
        let Self { mut reader, field } = self;
        drop(field);
        match reader.next_field().await? {
            None => Ok(()),
            Some(_) => Err(Problem::Unreadable(
                StatusCode::BAD_REQUEST,
                "The file must be the last field of the form.".to_owned(),
            )),
        }
    }
}

fn form(fields: &[(String, String)]) -> Form {
    Form::with(fields.iter().map(|(name, value)| (name.as_str(), value.clone())))
}

fn unreadable(error: &multer::Error) -> Problem {
    match error {
        multer::Error::StreamSizeExceeded { .. } => Problem::Unreadable(
            StatusCode::PAYLOAD_TOO_LARGE,
            "The file has more than 50 MB. Divide it.".to_owned(),
        ),
        multer::Error::StreamReadFailed(error) => match error.downcast_ref::<BodyError>() {
            Some(error) => Problem::from(error),
            None => Problem::Unreadable(StatusCode::BAD_REQUEST, format!("{error}.")),
        },
        error => Problem::Unreadable(StatusCode::BAD_REQUEST, format!("{error}.")),
    }
}

/// Gives out one piece at a time. The reader of forms would otherwise collect whatever has arrived, up to
/// the whole file.
struct OneByOne<S> {
    pieces: S,
    /// Whether a piece was given out, and the reader has its turn.
    is_given: bool,
    ahead: Arc<AtomicUsize>,
}

impl<S: Stream<Item = Result<Bytes, BodyError>> + Unpin> Stream for OneByOne<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        if self.is_given {
            self.is_given = false;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let next = self.pieces.poll_next_unpin(context);
        let Poll::Ready(Some(Ok(piece))) = &next else { return next };
        self.is_given = true;
        let ahead = self.ahead.fetch_add(piece.len(), Ordering::Relaxed) + piece.len();
        // A piece may be larger than that, but not follow one.
        if ahead > AHEAD_BYTES_MAX.max(piece.len()) {
            return Poll::Ready(Some(Err(BodyError::TooLarge)));
        }
        next
    }
}
