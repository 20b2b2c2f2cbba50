//! What runs in the background.

pub(crate) mod folding;
pub(crate) mod retention;
