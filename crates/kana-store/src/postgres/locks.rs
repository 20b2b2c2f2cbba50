//! What transactions hold while others wait.
//!
//! A writer works in READ COMMITTED with locks of its own: a statement sees what was committed
//! before it began, so what is read under a lock is true until the lock goes. REPEATABLE READ would
//! fix what is seen before the first lock is held, and fail whenever a user changed in between; under
//! load on few users that is always.
//!
//! In this order, so that nobody waits for somebody who waits for him:
//!
//! 1. The environment's **catalog**: shared by whoever decides on it, alone for whoever changes it.
//!    Without it, a subscription to a package could appear after somebody saw the package archived.
//!    An advisory lock, since so many share it at once.
//! 2. The **users** whose facts are decided on, rows locked in the order of their ids. Whatever is
//!    stored under a user's key changes only under this lock. Rows, and not advisory locks by a
//!    hash of the id, since the server has room for few thousand of the latter in all.
//! 3. What is **new**, in the order of its keys: the id of a user who is new or gets another one, and an
//!    idempotency key. Both are unique, so who comes second waits for the first, and then fails with a
//!    conflict and decides anew on what the first has stored. That is why a user who does not exist
//!    needs no lock. There is one exception: if ids go from one user to another within a transaction,
//!    they are written in the order of the commands. If two such transactions wait for each other,
//!    PostgreSQL fails one after a second, and that is a conflict, too.
//! 4. The **jobs** that a command schedules, rows in the order of kind, key and environment. Who claims
//!    jobs passes over rows that are locked, and waits for nobody.
//!
//! A change of an environment's **imports of users** takes their advisory lock before all of these.
//!
//! Whoever reads an environment's usage again, user by user, tries an advisory lock, and holds none of the above.
//!
//! A change of an environment's token secrets locks the environment's row, and none of the above.
//!
//! A change of the table that takes new idempotency keys holds the locks of all catalogs alone.
//!
//! Forgetting in the background takes an advisory lock, within the functions of the schema:
//! `(OTHERS, 1)` for events, `(OTHERS, 2)` for idempotency keys.
//!
//! A user's facts come with the lock, from the row that is locked, so that nothing changes between the
//! two. A user who appears meanwhile was not there yet; a subscription's owner who has another id by
//! then is noticed, and that is a conflict, too.

use tokio_postgres::types::ToSql;

use crate::app::EnvironmentId;

/// Of our advisory locks, so that those of other programs on the database are not in the way.
const CATALOGS: i32 = 0x6b61_6e61;
const OTHERS: i32 = 0x6b61_6e62;
const USER_IMPORTS: i32 = 0x6b61_6e63;
const SIMULATIONS: i32 = 0x6b61_6e64;

/// The parameters of the lock of an environment's catalog.
pub(super) fn catalog(environment: EnvironmentId) -> [i32; 2] {
    [CATALOGS, number(environment)]
}

/// The parameters of the lock of an environment's imports of users.
pub(super) fn user_imports(environment: EnvironmentId) -> [i32; 2] {
    [USER_IMPORTS, number(environment)]
}

/// The parameters of the lock of who reads an environment's usage again.
pub(super) fn simulations(environment: EnvironmentId) -> [i32; 2] {
    [SIMULATIONS, number(environment)]
}

fn number(environment: EnvironmentId) -> i32 {
    // An app has two environments; should their numbers ever be large, two may share a lock.
    let number = environment.0.rem_euclid(i64::from(i32::MAX));
    i32::try_from(number).unwrap_or(0)
}

/// The parameters of the lock that lets one node at a time migrate.
pub(super) fn migrations() -> [&'static (dyn ToSql + Sync); 2] {
    [&OTHERS, &0_i32]
}
