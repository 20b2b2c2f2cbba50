//! What Kana can be asked.
//!
//! [`Kana`] joins the rules of `kana-core` with a store. Whoever presents a valid key gets an
//! [`Environment`], and with it everything that can be asked or told of that environment, and
//! nothing of any other. Questions read one consistent view; whatever changes something goes
//! through the writer, which decides many commands at a time and commits once.

mod access;
mod blocking;
mod change_log;
mod clock;
mod counted;
mod database_failures;
mod deadlines;
mod environment;
mod error;
mod feed;
mod ids;
pub mod jobs;
mod kana;
mod people;
mod reader;
mod readiness;
mod retry;
mod settings;
mod simulations;
mod start;
mod subscriber_counts;
pub mod user_csv;
mod user_deletion;
mod user_fields;
mod user_import;
mod writer;

pub use access::browsers::{rotate_token_secret, set_simple_mode};
pub use access::creating::{
    InitialKeys, KeyRequest, begin_init, begin_key, create_key, init, key_name, revoke_key,
};
pub use access::keys::NewSecret;
pub use access::uncommitted::Uncommitted;
pub use clock::{Clock, ManualClock, SystemClock};
pub use environment::Environment;
pub use environment::audit_trail::{AuditPlace, Trail, TrailQuery};
pub use environment::client::{ClientUser, ClientView};
pub use environment::configuration::{Configured, Validation};
pub use environment::first_steps::FirstSteps;
pub use environment::package::PackageReview;
pub use environment::simulation::SimulationError;
pub use environment::subscriptions::{
    SubscriptionPage, no_update, to_change_package, to_subscribe,
};
pub use environment::threshold_events::ThresholdEventPage;
pub use environment::user_deletion::{delete_user, find_user};
pub use environment::user_events::{UserEvent, UserEvents};
pub use environment::user_import_upload::UserImportUpload;
pub use environment::user_imports::UserImportStatus;
pub use environment::user_overview::{FeatureEntitlement, UserOverview};
pub use environment::user_search::{FoundUsers, UserCursor, UserQuery};
pub use environment::users::UserPage;
pub use environment::view::{BrowserSettings, EnvironmentView};
pub use error::{Error, Unauthenticated};
pub use kana::Kana;
pub use kana_store::app::{EnvironmentKind, Key, KeyKind, KeyState};
pub use kana_store::feed::{AuditPage, AuditQuery, AuditRow, ChangesQuery, StoredChange};
pub use kana_store::people::{Admin, AdminId, Role};
pub use kana_store::usage_events::EventCursor;
pub use kana_store::usage_statistics::{DailyUsage, FeatureUsage};
pub use kana_store::user_imports::UserImportId;
pub use kana_store::{Actor, LogThrottle};
pub use people::{
    AcceptError, AdminError, AdminSession, ChangePasswordError, Developer, Invitation, NotAllowed,
    Owner, SessionRow, SessionSecret, SignInError, Visitor, WelcomeToken, WhichAdmin,
    begin_invitation, begin_reset, check_app_name, check_email, create_admin, invite_admin,
    list_admins, remove_admin, reset_password, set_ready_password,
};
pub use reader::NearLimit;
pub use readiness::NotReady;
pub use settings::Settings;
pub use user_import::{
    UserImportCounts, UserImportError, UserImportLine, UserImportLineKind, UserImportResult,
    UserImportState,
};
