//! What a page says was done. The address that leads to it carries a code, never a text that is shown.

use std::borrow::Cow;

use kana_core::usage::RecordedUsage;

/// A change that was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    FeatureCreated,
    FeatureSaved,
    FeatureDeleted,
    DraftSaved,
    DraftCreated,
    DraftDeleted,
    PackagePublished,
    PackageArchived,
    ChangesPublished,
    SignedOutElsewhere,
    PasswordChanged,
    KeyCreatedBefore,
    KeyRevoked,
    TokenSecretRotated,
    SimpleModeOn,
    SimpleModeOff,
    SettingsSaved,
    InvitationCreated,
    LinkShownBefore,
    PasswordReset,
    RoleChanged,
    AdminRemoved,
    UserCreated,
    UserSaved,
    Subscribed,
    SubscriptionCancelled,
    SubscriptionChanged,
    OverrideSet,
    OverrideRemoved,
    GrantCreated,
    GrantVoided,
    HoldReleased,
    UsageRecorded,
    /// The user has used more than the budget by now.
    UsageRecordedOver,
    /// Nothing granted the feature: the event is kept, and not counted.
    UsageNotRecorded,
}

const ALL: [(Done, &str, &str); 35] = [
    (Done::FeatureCreated, "feature-created", "Feature created."),
    (Done::FeatureSaved, "feature-saved", "Feature saved."),
    (Done::FeatureDeleted, "feature-deleted", "Feature deleted."),
    (Done::DraftSaved, "draft-saved", "Draft saved."),
    (Done::DraftCreated, "draft-created", "Draft created."),
    (Done::DraftDeleted, "draft-deleted", "Draft deleted."),
    (Done::PackagePublished, "package-published", "Package published."),
    (Done::PackageArchived, "package-archived", "Package archived."),
    (Done::ChangesPublished, "changes-published", "Changes published."),
    (Done::SignedOutElsewhere, "signed-out-elsewhere", "Signed out everywhere else."),
    (Done::PasswordChanged, "password-changed", "Password changed."),
    (
        Done::KeyCreatedBefore,
        "key-created-before",
        "This form has created its key already, which is not shown again.",
    ),
    (Done::KeyRevoked, "key-revoked", "Key revoked."),
    (Done::TokenSecretRotated, "token-secret-rotated", "Token secret rotated."),
    (Done::SimpleModeOn, "simple-mode-on", "Simple mode turned on."),
    (Done::SimpleModeOff, "simple-mode-off", "Simple mode turned off."),
    (Done::SettingsSaved, "settings-saved", "Settings saved."),
    (Done::InvitationCreated, "invitation-created", "Invitation created."),
    (
        Done::LinkShownBefore,
        "link-shown-before",
        "This form has created its link already, which is not shown again.",
    ),
    (Done::PasswordReset, "password-reset", "Password reset."),
    (Done::RoleChanged, "role-changed", "Role changed."),
    (Done::AdminRemoved, "admin-removed", "Admin removed."),
    (Done::UserCreated, "user-created", "User created."),
    (Done::UserSaved, "user-saved", "User saved."),
    (Done::Subscribed, "subscribed", "Subscribed."),
    (Done::SubscriptionCancelled, "subscription-cancelled", "Subscription cancelled."),
    (Done::SubscriptionChanged, "subscription-changed", "Subscription changed."),
    (Done::OverrideSet, "override-set", "Override set."),
    (Done::OverrideRemoved, "override-removed", "Override removed."),
    (Done::GrantCreated, "grant-created", "Grant created."),
    (Done::GrantVoided, "grant-voided", "Grant voided."),
    (Done::HoldReleased, "hold-released", "Hold released."),
    (Done::UsageRecorded, "usage-recorded", "Usage recorded."),
    (Done::UsageRecordedOver, "usage-recorded-over", "Usage recorded."),
    (Done::UsageNotRecorded, "usage-not-recorded", "Not recorded:"),
];

impl Done {
    /// Returns what stands in the address.
    pub(crate) fn code(self) -> &'static str {
        self.entry().1
    }

    /// Returns the sentence that the page shows.
    pub(crate) fn sentence(self) -> Cow<'static, str> {
        let sentence = self.entry().2;
        match self {
            // The API says why.
            Self::UsageNotRecorded => {
                let reason = RecordedUsage::NotCounted.reason().unwrap_or_default();
                format!("{sentence} {reason}").into()
            }
            _ => sentence.into(),
        }
    }

    /// Returns what there is to know beside it.
    pub(crate) fn note(self) -> Option<&'static str> {
        (self == Self::UsageRecordedOver).then_some("The user is over the limit by now.")
    }

    /// Returns the class of the notice: `good`, or `warn` for what was not done as it was meant.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::UsageNotRecorded | Self::UsageRecordedOver => "warn",
            _ => "good",
        }
    }

    /// Returns what was done by its code; `None` for a code that nobody gave out.
    pub(crate) fn by_code(code: &str) -> Option<Self> {
        ALL.iter().find(|(_, known, _)| *known == code).map(|(done, ..)| *done)
    }

    fn entry(self) -> &'static (Self, &'static str, &'static str) {
        // The test below sees that each is listed.
        ALL.iter().find(|(done, ..)| *done == self).unwrap_or(&ALL[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_an_entry_of_its_own_in_order() {
        for (index, (done, code, sentence)) in ALL.iter().enumerate() {
            assert_eq!(*done as usize, index);
            assert_eq!(Done::by_code(code), Some(*done));
            assert!(done.sentence().starts_with(sentence));
        }
        assert_eq!(Done::UsageNotRecorded as usize, ALL.len() - 1);
        assert_eq!(Done::by_code("<script>"), None);
    }
}
