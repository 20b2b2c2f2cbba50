use std::io::Read as _;
use std::sync::Arc;

use kana_service::{Actor, AdminError, Role, SystemClock, Uncommitted, WelcomeToken, WhichAdmin};
use kana_store::Store;

use super::{Failure, open_with_app, print, print_then_commit};
use crate::settings::{AddressSettings, DatabaseSettings};

/// Who these commands are in the audit log.
const ACTOR: Actor = Actor::CommandLine;

/// The maximum number of bytes of a password on standard input: more than 256 characters take.
const PASSWORD_BYTES_MAX: u64 = 4096;

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::NoApp => Self::NoApp,
            AdminError::Other(error) => Self::Service(error),
            error => Self::Admin(error),
        }
    }
}

/// Lists every admin, a line each.
pub(crate) async fn list(settings: &DatabaseSettings) -> Result<(), Failure> {
    let store = open_with_app(settings).await?;
    let admins = kana_service::list_admins(store.as_ref()).await?;
    let width = admins.iter().map(|admin| admin.email.chars().count()).max().unwrap_or(0).max(6);
    let mut text = format!(
        "{:<width$} {:<7} {:<24} {:<24} STATUS\n",
        "E-MAIL", "ROLE", "CREATED", "LAST SIGN-IN"
    );
    for admin in admins {
        text.push_str(&format!(
            "{:<width$} {:<7} {:<24} {:<24} {}\n",
            admin.email,
            admin.role.name(),
            admin.created_at.to_string(),
            admin.last_sign_in_at.map_or_else(|| "-".to_owned(), |at| at.to_string()),
            if admin.has_password { "active" } else { "invited" },
        ));
    }
    print(&text).map_err(Failure::Output)
}

/// Creates an admin. Prints the welcome link, unless the password is on standard input.
pub(crate) async fn create(
    database: &DatabaseSettings,
    address: &AddressSettings,
    (email, role): (&str, Role),
    password_stdin: bool,
) -> Result<(), Failure> {
    let store = open_with_app(database).await?;
    let clock = &SystemClock;
    if password_stdin {
        let password = read_password()?;
        let admin = (email, role);
        kana_service::create_admin(store.as_ref(), clock, &ACTOR, admin, &password).await?;
        return Ok(());
    }
    let invited =
        kana_service::begin_invitation(store.as_ref(), clock, &ACTOR, email, role).await?;
    show(invited, address, "the admin").await
}

/// Ends an admin's sessions and prints the link that sets another password, unless that is on standard
/// input.
pub(crate) async fn reset_password(
    database: &DatabaseSettings,
    address: &AddressSettings,
    email: &str,
    password_stdin: bool,
) -> Result<(), Failure> {
    let store: Arc<dyn Store> = open_with_app(database).await?;
    let (clock, which) = (&SystemClock, WhichAdmin::Email(email));
    if password_stdin {
        let password = read_password()?;
        kana_service::set_ready_password(store.as_ref(), clock, &ACTOR, which, &password).await?;
        return Ok(());
    }
    let reset = kana_service::begin_reset(store.as_ref(), clock, &ACTOR, which).await?;
    show(reset, address, "the link").await
}

/// Removes an admin.
pub(crate) async fn remove(settings: &DatabaseSettings, email: &str) -> Result<(), Failure> {
    let store = open_with_app(settings).await?;
    let which = WhichAdmin::Email(email);
    kana_service::remove_admin(store.as_ref(), &SystemClock, &ACTOR, which).await?;
    tracing::info!("the admin is removed");
    Ok(())
}

async fn show(
    token: Uncommitted<WelcomeToken>,
    address: &AddressSettings,
    what: &'static str,
) -> Result<(), Failure> {
    let link = |token: &WelcomeToken| address.welcome_link(None, token.reveal()) + "\n";
    print_then_commit(token, what, link).await
}

/// Reads the password from standard input, without the end of its line.
fn read_password() -> Result<String, Failure> {
    let mut text = String::new();
    let mut input = std::io::stdin().lock().take(PASSWORD_BYTES_MAX);
    input.read_to_string(&mut text).map_err(Failure::Input)?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}
