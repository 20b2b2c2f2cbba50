//! Style sheet, script and icon, within the binary. Their names carry a hash of their content, so that
//! browsers keep them for ever and an update is seen at once.

use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

/// A file of the dashboard.
pub(crate) struct Asset {
    /// Its name with its hash, as in its address.
    name: String,
    media_type: &'static str,
    bytes: &'static [u8],
}

pub(crate) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("kana", "css", "text/css; charset=utf-8", include_bytes!("../assets/kana.css"))
});
pub(crate) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("kana", "js", "text/javascript; charset=utf-8", include_bytes!("../assets/kana.js"))
});
pub(crate) static ICON: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("icon", "svg", "image/svg+xml", include_bytes!("../assets/icon.svg"))
});

impl Asset {
    fn new(stem: &str, extension: &str, media_type: &'static str, bytes: &'static [u8]) -> Self {
        let mut hash = String::new();
        for byte in &Sha256::digest(bytes)[..6] {
            // Writing to memory cannot fail.
            let _ = write!(hash, "{byte:02x}");
        }
        Self { name: format!("{stem}.{hash}.{extension}"), media_type, bytes }
    }

    /// Returns the address.
    pub(crate) fn address(&self) -> String {
        format!("/dashboard/assets/{}", self.name)
    }
}

/// `/dashboard/assets/{name}`.
pub(crate) async fn serve(Path(name): Path<String>) -> Response {
    let asset = [&*STYLE, &*SCRIPT, &*ICON].into_iter().find(|asset| asset.name == name);
    let Some(asset) = asset else { return StatusCode::NOT_FOUND.into_response() };
    let headers = [
        (header::CONTENT_TYPE, asset.media_type),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    (headers, asset.bytes).into_response()
}
