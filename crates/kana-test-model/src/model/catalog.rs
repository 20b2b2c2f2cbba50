use super::Model;
use crate::answer::{Answer, Refusal, Status};
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

    pub(super) fn set_thresholds(&mut self, id: Name) -> Result<Answer, Refusal> {
        if self.is_binary(id)? {
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
            if self.is_binary(feature)? && terms.is_some() {
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
