use async_graphql::Context;
use kana_service::{Environment, Error};

use crate::error::ApiError;

/// Returns the environment that the request was authorised for.
pub(super) fn environment<'a>(context: &Context<'a>) -> Result<&'a Environment, ApiError> {
    context
        .data_opt::<Environment>()
        .ok_or(ApiError::Service(Error::Bug("a resolver ran without an environment")))
}
