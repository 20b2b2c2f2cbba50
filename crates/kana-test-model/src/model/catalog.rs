use super::Model;
use crate::answer::{Answer, Refusal, Status};
use crate::mistake::Mistake;
use crate::request::{Name, NewPackage};

impl Model {
    pub(super) fn catalog(&self) -> Answer {
        Answer::Catalog {
            features: self.features.iter().map(|(feature, _)| *feature).collect(),
            packages: self
                .packages
                .iter()
                .map(|(package, status)| (package.package, *status))
                .collect(),
        }
    }

    /// Whether the feature is binary.
    pub(super) fn is_binary(&self, id: Name) -> Result<bool, Refusal> {
        let found = self.features.iter().find(|(feature, _)| *feature == id);
        found.map(|(_, binary)| *binary).ok_or(Refusal::NoSuchFeature)
    }

    pub(super) fn package(&self, id: Name) -> Option<&(NewPackage, Status)> {
        self.packages.iter().find(|(package, _)| package.package == id)
    }

    pub(super) fn create_feature(&mut self, id: Name, binary: bool) -> Result<Answer, Refusal> {
        if self.is_binary(id).is_ok() {
            return Err(Refusal::IdTaken);
        }
        self.features.push((id, binary));
        Ok(Answer::Feature(id))
    }

    pub(super) fn create_drawing(
        &mut self,
        id: Name,
        balance: Name,
        cost: i64,
    ) -> Result<Answer, Refusal> {
        if self.is_binary(id).is_ok() {
            return Err(Refusal::IdTaken);
        }
        if !self.has_amount(balance)? {
            return Err(Refusal::BadValue("drawsOn"));
        }
        self.create_feature(id, false)?;
        self.draws.insert(id, (balance, cost));
        Ok(Answer::Feature(id))
    }

    pub(super) fn set_cost(&mut self, id: Name, cost: i64) -> Result<Answer, Refusal> {
        self.is_binary(id)?;
        let Some((_, known)) = self.draws.get_mut(id) else {
            return Err(Refusal::BadValue("cost"));
        };
        *known = cost;
        Ok(Answer::Feature(id))
    }

    /// The feature that is counted, and what one of this one costs.
    pub(super) fn balance(&self, id: Name) -> (Name, i64) {
        match self.draws.get(id) {
            Some((balance, _)) if self.errs(Mistake::CostIgnored) => (balance, 1),
            Some(draw) => *draw,
            None => (id, 1),
        }
    }

    /// Whether packages give an amount of the feature, and not only the right to use it.
    pub(super) fn has_amount(&self, id: Name) -> Result<bool, Refusal> {
        Ok(!self.is_binary(id)? && !self.draws.contains_key(id))
    }

    pub(super) fn set_thresholds(&mut self, id: Name) -> Result<Answer, Refusal> {
        if !self.has_amount(id)? {
            return Err(Refusal::BadValue("thresholds"));
        }
        self.with_thresholds.insert(id);
        Ok(Answer::Feature(id))
    }

    pub(super) fn create_package(&mut self, new: &NewPackage) -> Result<Answer, Refusal> {
        if self.package(new.package).is_some() {
            return Err(Refusal::IdTaken);
        }
        for (feature, terms) in &new.features {
            if !self.has_amount(feature)? && terms.is_some() {
                return Err(Refusal::BadValue("entitlement"));
            }
        }
        if new.bases.iter().any(|base| self.package(base).is_none()) {
            return Err(Refusal::NoSuchPackage);
        }
        self.packages.push((new.clone(), Status::Draft));
        Ok(Answer::Package(new.package, Status::Draft))
    }

    pub(super) fn publish_package(&mut self, id: Name) -> Result<Answer, Refusal> {
        match self.status_mut(id)? {
            Status::Archived => return Err(Refusal::BadValue("id")),
            status => *status = Status::Published,
        }
        Ok(Answer::Package(id, Status::Published))
    }

    pub(super) fn publish_drafts(&mut self) -> Answer {
        for (_, status) in &mut self.packages {
            if *status == Status::Draft {
                *status = Status::Published;
            }
        }
        // A file has no place for packages that are archived.
        let packages = self.packages.iter().filter(|(_, status)| *status != Status::Archived);
        Answer::Catalog {
            features: self.features.iter().map(|(feature, _)| *feature).collect(),
            packages: packages.map(|(package, status)| (package.package, *status)).collect(),
        }
    }

    pub(super) fn archive_package(&mut self, id: Name) -> Result<Answer, Refusal> {
        match self.status_mut(id)? {
            Status::Draft => return Err(Refusal::BadValue("id")),
            status => *status = Status::Archived,
        }
        Ok(Answer::Package(id, Status::Archived))
    }

    fn status_mut(&mut self, id: Name) -> Result<&mut Status, Refusal> {
        let found = self.packages.iter_mut().find(|(package, _)| package.package == id);
        found.map(|(_, status)| status).ok_or(Refusal::NoSuchPackage)
    }
}
