use indexmap::IndexMap;

use crate::error::ApiError;
use crate::reply::Reply;

const KEPT_SECONDS: i64 = 24 * 60 * 60;
const KEY_LENGTH_MAX: usize = 255;

/// The idempotency keys of one mode.
#[derive(Debug, Default)]
pub(crate) struct IdempotencyKeys {
    /// In the order in which they came.
    records: IndexMap<String, Record>,
}

#[derive(Debug)]
struct Record {
    /// The method, path and parameters.
    request: String,
    first_seen: i64,
    /// `None` while the request is worked.
    reply: Option<Reply>,
}

impl IdempotencyKeys {
    /// Begins a request with a key. Answers the first reply if the same request was answered before, and
    /// fails if the key belongs to another request or to one that is still worked.
    pub(crate) fn begin(
        &mut self,
        key: &str,
        request: &str,
        now: i64,
    ) -> Result<Option<Reply>, ApiError> {
        if key.is_empty() || key.len() > KEY_LENGTH_MAX {
            let message = format!("Idempotency keys must have 1 to {KEY_LENGTH_MAX} characters.");
            return Err(ApiError::idempotency(message));
        }
        let is_old = |record: &&Record| now - record.first_seen >= KEPT_SECONDS;
        let old = self.records.values().take_while(is_old).count();
        if old > 0 {
            self.records.drain(..old);
        }
        let Some(record) = self.records.get(key) else {
            let record = Record { request: request.to_owned(), first_seen: now, reply: None };
            self.records.insert(key.to_owned(), record);
            return Ok(None);
        };
        if record.request != request {
            let message = format!(
                "Keys for idempotent requests can only be used with the endpoint and the parameters they \
                 were first used with. Use a key other than '{key}' for another request."
            );
            return Err(ApiError::idempotency(message));
        }
        match &record.reply {
            Some(reply) => Ok(Some(reply.clone())),
            None => Err(ApiError::key_in_use(key)),
        }
    }

    /// Keeps what the request that began with the key was answered.
    pub(crate) fn finish(&mut self, key: &str, reply: &Reply) {
        if let Some(record) = self.records.get_mut(key) {
            record.reply = Some(reply.clone());
        }
    }

    /// Forgets a request that was refused before anything was done.
    pub(crate) fn abandon(&mut self, key: &str) {
        self.records.shift_remove(key);
    }
}
