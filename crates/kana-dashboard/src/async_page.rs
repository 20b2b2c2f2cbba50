//! Handlers: functions from what was asked to a response.

use axum::response::Response;

use crate::problem::Problem;

/// What answers a request: a function from what was asked to a response.
pub(crate) trait AsyncPage<A>: Copy + Send + Sync + 'static {
    fn call(self, asked: A) -> impl Future<Output = Result<Response, Problem>> + Send;
}

impl<A, F, Answer> AsyncPage<A> for F
where
    F: Fn(A) -> Answer + Copy + Send + Sync + 'static,
    Answer: Future<Output = Result<Response, Problem>> + Send,
{
    fn call(self, asked: A) -> impl Future<Output = Result<Response, Problem>> + Send {
        self(asked)
    }
}
