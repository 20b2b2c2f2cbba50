//! `/dashboard` leads to the environment that was seen last.

use axum::response::Response;

use crate::address::Address;
use crate::answer::{Asked, see_other};
use crate::entrance::SignedIn;
use crate::problem::Problem;
use crate::route::{Route, get};

pub(crate) fn routes() -> Vec<Route> {
    vec![get("/dashboard", home), get("/dashboard/", home)]
}

async fn home(asked: Asked<SignedIn>) -> Result<Response, Problem> {
    Ok(see_other(&Address::of(asked.visit.last_environment(), "")))
}
