use std::sync::Arc;

use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextValidation};
use async_graphql::{ServerError, ValidationResult};
use async_trait::async_trait;

use super::prepared::Prepared;

/// Notes on a document that the library has validated it, before it is executed.
pub(super) struct NoteValidated;

impl ExtensionFactory for NoteValidated {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_trait]
impl Extension for NoteValidated {
    async fn validation(
        &self,
        context: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        let result = next.run(context).await?;
        if let Some(prepared) = context.data_opt::<Arc<Prepared>>() {
            prepared.set_validated();
        }
        Ok(result)
    }
}
