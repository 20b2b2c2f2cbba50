use std::sync::Arc;

use kana_store::{Store, StoreError};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

/// Runs a call of the store on a thread that answers no requests: a commit of the embedded engine
/// waits for the disk where it is called.
pub(super) async fn off_thread<T, F>(
    store: &Arc<dyn Store>,
    call: impl FnOnce(Arc<dyn Store>) -> F + Send + 'static,
) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
    T: Send + 'static,
{
    let (store, runtime) = (Arc::clone(store), Handle::current());
    let called = spawn_blocking(move || runtime.block_on(call(store))).await;
    called.unwrap_or_else(|panicked| Err(StoreError::Engine(Box::new(panicked))))
}
