//! A change of the catalog: planned and committed in one transaction.

use std::collections::HashMap;
use std::sync::Arc;

use kana_core::catalog::{Catalog, CatalogChange, CatalogVersion};
use kana_core::catalog_command::{self, CatalogAnswer, CatalogCommand, PackageEdit};
use kana_core::change::{audit_of_catalog, of_catalog, packages_to_count};
use kana_core::id::PackageId;
use kana_core::refusal::InvalidValue;
use kana_core::{Refusal, Timestamp, configuration_plan};
use kana_store::{Actor, EnvironmentId, Transaction};

use super::batch::Decider;
use super::queue::{CatalogDone, CatalogRequest};
use super::traced::committing;
use crate::change_log;
use crate::error::Error;
use crate::feed::Recorder;

impl Decider {
    /// Plans what is asked for on the catalog as it is, and commits it.
    pub(super) async fn change_catalog(
        &self,
        environment: EnvironmentId,
        actor: &Actor,
        request: &CatalogRequest,
    ) -> Result<CatalogDone, Error> {
        let mut transaction = self.store.write().await?;
        let version = transaction.catalog_version(environment).await?;
        let catalog = self.catalogs.at(transaction.as_mut(), environment, version).await?;
        let now = self.clock.now();
        let (changes, about) = match request {
            CatalogRequest::Command(command) => {
                check_unused(transaction.as_mut(), environment, command).await?;
                let (changes, about) = catalog_command::plan(&catalog, command.clone(), now)?;
                (changes, Some(about))
            }
            CatalogRequest::CommandAt(command, expected) => {
                let planned = plan_command(&catalog, command, now);
                let (changes, about) = at_version(planned, version, *expected)?;
                (changes, Some(about))
            }
            CatalogRequest::Package(id, edit, expected) => {
                let planned = plan_package(&catalog, id, edit, now);
                (at_version(planned, version, *expected)?.0, None)
            }
            CatalogRequest::Publish(publish) => {
                let at = (version, &*catalog);
                (publish.changes(transaction.as_mut(), environment, at, now).await?, None)
            }
        };
        if changes.is_empty() {
            return Ok(CatalogDone { version, catalog, about });
        }
        let at = (&*catalog, now);
        let subscribers =
            count_subscribers(transaction.as_mut(), environment, at, (&changes, request)).await?;
        let version = transaction.change_catalog(environment, version, &changes).await?;
        let is_configuration = matches!(request, CatalogRequest::Publish(_));
        let mut recorder = Recorder::default();
        let told = of_catalog(&catalog, &changes, &subscribers, is_configuration);
        recorder.changes(actor, now, told);
        let entries = audit_of_catalog(&catalog, &changes, is_configuration);
        let logged: Vec<_> =
            entries.iter().map(|entry| (entry.action, entry.kind, entry.subject.clone())).collect();
        recorder.audit(actor, now, entries);
        transaction.append(environment, recorder.finish()).await?;
        committing(self.commits.measure(transaction.commit())).await?;
        for (action, kind, subject) in logged {
            change_log::log(actor, action, kind, subject.as_deref());
        }
        let mut changed = Catalog::clone(&catalog);
        for change in &changes {
            changed.apply(change);
        }
        let catalog = Arc::new(changed);
        self.catalogs.publish(environment, version, &catalog);
        Ok(CatalogDone { version, catalog, about })
    }
}

type Planned = (Vec<CatalogChange>, CatalogAnswer);

fn plan_command(
    catalog: &Catalog,
    command: &CatalogCommand,
    now: Timestamp,
) -> Result<Planned, Refusal> {
    if let CatalogCommand::DeletePackage(id) = command {
        catalog_command::check_unnamed(catalog, id)?;
    }
    catalog_command::plan(catalog, command.clone(), now)
}

fn plan_package(
    catalog: &Catalog,
    id: &PackageId,
    edit: &PackageEdit,
    now: Timestamp,
) -> Result<Planned, Refusal> {
    let plan = configuration_plan::plan_package(catalog, id, edit, now)?;
    Ok((plan.into_changes()?, CatalogAnswer::Package(id.clone())))
}

/// Refuses what was asked of another version of the catalog. What is so already is no conflict, so that
/// a form may be sent twice.
fn at_version(
    planned: Result<Planned, Refusal>,
    version: CatalogVersion,
    expected: CatalogVersion,
) -> Result<Planned, Refusal> {
    match planned {
        planned if version == expected => planned,
        Ok(planned) if planned.0.is_empty() => Ok(planned),
        _ => Err(Refusal::StaleCatalog),
    }
}

/// Refuses to delete a feature that was used.
async fn check_unused(
    transaction: &mut dyn Transaction,
    environment: EnvironmentId,
    command: &CatalogCommand,
) -> Result<(), Error> {
    let CatalogCommand::DeleteFeature(id) = command else { return Ok(()) };
    let used = transaction.have_usage(environment, std::slice::from_ref(id)).await?;
    if used.contains(&true) {
        return Err(InvalidValue::new(
            "id",
            format!("names {id}, which has usage, or was given to users"),
        )
        .into());
    }
    Ok(())
}

/// Counts the active subscribers of packages that give something else from now on. Whoever publishes
/// a configuration has counted them before, so that the writer does not wait for it; only a package
/// that has changed since is counted here.
async fn count_subscribers(
    transaction: &mut dyn Transaction,
    environment: EnvironmentId,
    (catalog, now): (&Catalog, Timestamp),
    (changes, request): (&[CatalogChange], &CatalogRequest),
) -> Result<HashMap<PackageId, u64>, Error> {
    let mut counts = match request {
        CatalogRequest::Publish(publish) => publish.active_subscribers.clone(),
        CatalogRequest::Command(_)
        | CatalogRequest::CommandAt(..)
        | CatalogRequest::Package(..) => HashMap::new(),
    };
    let touched = packages_to_count(catalog, changes);
    let missing: Vec<PackageId> =
        touched.into_iter().filter(|package| !counts.contains_key(package)).collect();
    if !missing.is_empty() {
        let counted = transaction.active_subscribers(environment, &missing, now).await?;
        counts.extend(missing.into_iter().zip(counted));
    }
    Ok(counts)
}
