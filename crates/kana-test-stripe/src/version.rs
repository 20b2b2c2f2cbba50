/// The version of Stripe's API that is answered.
pub const API_VERSION: &str = "2026-10-28.endive";
