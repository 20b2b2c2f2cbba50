//! Calls of the store that take long.

use std::sync::Arc;

use kana_store::{Store, StoreError};
use kana_telemetry::request::Origin;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

/// Runs a call of the store on a thread that answers no requests: the embedded engine commits, and
/// reads what there is much of, where it is called.
pub(crate) async fn off_thread<T, E, F>(
    store: &Arc<dyn Store>,
    call: impl FnOnce(Arc<dyn Store>) -> F + Send + 'static,
) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    let (store, runtime) = (Arc::clone(store), Handle::current());
    let request = Origin::current();
    let called = spawn_blocking(move || {
        runtime.block_on(async {
            // What is recorded there names the request, too, and belongs to its trace.
            match request {
                Some(request) => request.scope(call(store)).await,
                None => call(store).await,
            }
        })
    })
    .await;
    called.unwrap_or_else(|panicked| Err(StoreError::Engine(Box::new(panicked)).into()))
}
