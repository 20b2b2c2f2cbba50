//! People: who administers Kana, and how they get in (contract: `dashboard.md`, "Getting in").
//!
//! [`AdminSession`] is the only way in. It opens an environment to read for every role, and one to
//! change only for a role that may.

pub(crate) mod admins;
mod app_name;
mod developer;
mod email;
mod entries;
mod forms;
mod invitations;
pub(crate) mod inviting;
pub(crate) mod node;
mod owner;
mod password;
pub(crate) mod secret;
mod session;
mod sessions;
mod sign_in;
mod tally;
mod throttle;
mod visitor;

pub use self::admins::{
    AdminError, WhichAdmin, begin_invitation, begin_reset, create_admin, invite_admin, list_admins,
    remove_admin, reset_password, set_ready_password,
};
pub use self::app_name::check_app_name;
pub use self::developer::Developer;
pub use self::email::check_email;
pub use self::invitations::{AcceptError, Invitation};
pub use self::owner::Owner;
pub use self::secret::{SessionSecret, WelcomeToken};
pub use self::session::{AdminSession, ChangePasswordError, NotAllowed, SessionRow};
pub use self::sign_in::SignInError;
pub use self::visitor::Visitor;
