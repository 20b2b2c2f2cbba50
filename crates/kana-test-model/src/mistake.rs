//! Models that are wrong in one thing. What they answer must not be taken for what Kana does.

/// One thing in which a model differs from the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mistake {
    /// `useFeature` grants over the limit.
    LimitIgnored,
    /// The package with the lowest limit counts.
    LowestLimitCounts,
    /// Of equal limits, the newest subscription counts.
    NewestCounts,
    /// Usage never starts again at 0.
    PeriodsNeverEnd,
    /// Usage of then counts as if it were of now.
    OccurredAtIgnored,
    /// `used` falls below 0.
    BelowZero,
    /// `SET` adds.
    SetAdds,
    /// What is not counted is not kept in the log either.
    UncountedNotKept,
    /// A key records each time that it is sent.
    RepeatsRecord,
    /// A key is used up by an error.
    ErrorsUseKeys,
    /// A refusal by `useFeature` does not use its key.
    RefusalsDoNotUseKeys,
    /// A key belongs to the user's id and not to the user.
    KeysBelongToIds,
    /// The amount is not part of what a key is for.
    DeltaIsNotContent,
    /// A user may have two bases.
    TwoBases,
    /// Add-ons stay when their base is cancelled.
    AddonsStay,
    /// Cancelling again moves the end.
    CancelledAgainEndsLater,
    /// An archived package can be subscribed to.
    ArchivedIsSold,
    /// Archiving a package ends what it grants.
    ArchivingEndsGrants,
    /// A limit counts once, whatever the quantity is.
    QuantityIgnored,
    /// An earlier period has the quantity of today.
    PastHasTodaysQuantity,
    /// A limit that is added competes with the others.
    AddedCompetes,
    /// Of those that are added, the newest counts.
    NewestAddedCounts,
    /// A subscription that has ended gets another quantity.
    EndedIsUpdated,
    /// Usage stays behind when a package changes with it.
    UsageStaysBehind,
    /// What is left of a period is lost.
    NothingIsCarried,
    /// What is carried has no cap.
    CapIgnored,
    /// What is left stays usable for more periods than it should.
    CarriedTooLong,
    /// An override's limit competes with the package's.
    OverrideIsNoLess,
    /// An override counts after its end.
    OverrideNeverEnds,
    /// A grant can be drawn after its end.
    GrantNeverEnds,
    /// Of equal grants, the newest is drawn first.
    NewestGrantFirst,
    /// Usage over the limit leaves grants as they are.
    GrantsAreNotDrawn,
    /// What is held is left for others.
    HoldsKeepNothing,
    /// A hold counts until it is settled or released.
    HoldNeverExpires,
    /// A denied feature is counted.
    DeniedIsCounted,
    /// What a feature draws on is used one for one.
    CostIgnored,
    /// A feature that draws on another may be used wherever the balance may.
    DrawsWithoutGrant,
    /// An update clears what it does not name.
    UpdatesClear,
    /// A new id is given although somebody has it.
    IdsAreShared,
    /// A threshold is reached again after usage has gone down.
    ThresholdsFireAgain,
    /// Usage in a period that is over reaches thresholds.
    OldUsageReachesThresholds,
}

impl Mistake {
    pub const ALL: [Self; 41] = [
        Self::LimitIgnored,
        Self::LowestLimitCounts,
        Self::NewestCounts,
        Self::PeriodsNeverEnd,
        Self::OccurredAtIgnored,
        Self::BelowZero,
        Self::SetAdds,
        Self::UncountedNotKept,
        Self::RepeatsRecord,
        Self::ErrorsUseKeys,
        Self::RefusalsDoNotUseKeys,
        Self::KeysBelongToIds,
        Self::DeltaIsNotContent,
        Self::TwoBases,
        Self::AddonsStay,
        Self::CancelledAgainEndsLater,
        Self::ArchivedIsSold,
        Self::ArchivingEndsGrants,
        Self::QuantityIgnored,
        Self::PastHasTodaysQuantity,
        Self::AddedCompetes,
        Self::NewestAddedCounts,
        Self::EndedIsUpdated,
        Self::UsageStaysBehind,
        Self::NothingIsCarried,
        Self::CapIgnored,
        Self::CarriedTooLong,
        Self::OverrideIsNoLess,
        Self::OverrideNeverEnds,
        Self::GrantNeverEnds,
        Self::NewestGrantFirst,
        Self::GrantsAreNotDrawn,
        Self::HoldsKeepNothing,
        Self::HoldNeverExpires,
        Self::DeniedIsCounted,
        Self::CostIgnored,
        Self::DrawsWithoutGrant,
        Self::UpdatesClear,
        Self::IdsAreShared,
        Self::ThresholdsFireAgain,
        Self::OldUsageReachesThresholds,
    ];
}
