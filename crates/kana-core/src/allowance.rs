//! How much a package gives.

use crate::period::ResetPeriod;

/// How much of a feature a package gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// The most that may be used in a period, 0 or more; `None` means unlimited.
    pub limit: Option<i64>,
    /// When usage starts again at 0; `None` means never.
    pub reset_period: Option<ResetPeriod>,
    /// Whether usage may go over the limit.
    pub overage_enabled: bool,
}

impl Allowance {
    /// No limit and no reset: the default.
    pub const UNLIMITED: Self = Self { limit: None, reset_period: None, overage_enabled: false };
}
