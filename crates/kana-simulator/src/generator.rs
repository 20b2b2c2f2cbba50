//! Draws a history from a seed: few names, so that everything collides.

use fastrand::Rng;
use kana_test_model::request::{
    ADA, Action, Ahead, At, BASIC, BOB, CALLS, CYD, EXTRA, Edit, Giving, Holding, IMAGES, Id, LATE,
    LATE_CALLS, LATER, Name, NewPackage, PLUS, PRO, Request, Reset, Rollover, SSO, Says, Terms,
    Usage,
};

use crate::faults::{Calls, FOREVER, Failure, Fault, Since, Trouble};
use crate::http;
use crate::step::{Asked, History, Step};
use crate::world::START;

const MINUTE_MS: i64 = 60 * 1000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// A start a month ago, to the end of which one hour is left.
const A_MONTH_AGO: At = At(START.0 - 31 * DAY_MS + HOUR_MS);

const KEYS: [Name; 24] = [
    "k00", "k01", "k02", "k03", "k04", "k05", "k06", "k07", "k08", "k09", "k10", "k11", "k12",
    "k13", "k14", "k15", "k16", "k17", "k18", "k19", "k20", "k21", "k22", "k23",
];

/// Draws the history of a seed, with so many steps after those that open the shop.
#[must_use]
pub fn history(seed: u64, steps: usize) -> History {
    let mut rng = Rng::with_seed(seed);
    let (gathers, over_http) = (rng.u8(..3) == 0, rng.u8(..3) == 0);
    let mut draw = Draw { rng, over_http, keyed: Vec::new() };
    let mut all = draw.opening();
    all.extend((0..steps).map(|_| draw.step()));
    History { gathers, steps: all }
}

struct Draw {
    rng: Rng,
    /// Whether some requests are sent over HTTP.
    over_http: bool,
    /// Requests with keys that were drawn before.
    keyed: Vec<Request>,
}

impl Draw {
    fn one_in(&mut self, n: usize) -> bool {
        self.rng.usize(..n) == 0
    }

    fn of<T: Copy>(&mut self, options: &[T]) -> T {
        options[self.rng.usize(..options.len())]
    }

    /// A number, by the weights of the numbers.
    fn weighted(&mut self, weights: &[usize]) -> usize {
        let all: usize = weights.iter().sum();
        let mut left = self.rng.usize(..all);
        weights
            .iter()
            .position(|weight| match left.checked_sub(*weight) {
                Some(rest) => {
                    left = rest;
                    false
                }
                None => true,
            })
            .unwrap_or(0)
    }

    /// The shop opens, with two users.
    fn opening(&mut self) -> Vec<Step> {
        let mut requests = vec![
            Request::CreateFeature { feature: CALLS, binary: false },
            Request::CreateFeature { feature: SSO, binary: true },
            Request::SetThresholds(CALLS),
            Request::CreateDrawing { feature: IMAGES, balance: CALLS, cost: 2 },
        ];
        let (basic, extra) = (self.terms(), self.terms());
        let pro = if self.one_in(2) {
            self.terms()
        } else {
            Terms { limit: None, rollover: None, ..self.terms() }
        };
        let package =
            |package, addon, bases, features| NewPackage { package, addon, bases, features };
        for package in [
            package(BASIC, false, vec![], vec![(CALLS, Some(basic))]),
            package(PRO, false, vec![], vec![(CALLS, Some(pro)), (SSO, None), (IMAGES, None)]),
            package(EXTRA, true, vec![], vec![(CALLS, Some(extra))]),
            package(PLUS, true, vec![PRO], vec![(SSO, None), (IMAGES, None)]),
        ] {
            let id = package.package;
            requests.extend([Request::CreatePackage(package), Request::PublishPackage(id)]);
        }
        for user in [ADA, BOB] {
            requests.push(Request::CreateUser { user, name: Some("Ms."), email: Some("x@y.co") });
            let (packages, started_at) = (self.first_packages(), Some(A_MONTH_AGO));
            let (quantities, ahead) = (None, Ahead::default());
            requests.push(Request::Subscribe { user, packages, quantities, started_at, ahead });
        }
        let ask = |request| Step::Ask { asked: vec![Asked::Service(request)], faults: vec![] };
        requests.into_iter().map(ask).collect()
    }

    fn terms(&mut self) -> Terms {
        let limit = Some(self.of(&[0, 1, 3, 8, 20, 1000]));
        let reset = self.of(&Reset::ALL);
        let (overage, added) = (self.one_in(4), self.one_in(4));
        // What comes after it in a history does not depend on it.
        let mut rng = self.rng.clone();
        let rollover = (reset.is_some() && rng.bool()).then(|| {
            let max = rng.choice([None, Some(1), Some(5), Some(1500)]).flatten();
            Rollover { max, periods: rng.choice([1, 2, 3, 12]).unwrap_or(1) }
        });
        Terms { limit, reset, overage, added, rollover }
    }

    fn step(&mut self) -> Step {
        match self.weighted(&[240, 12, 1, 1, 2]) {
            0 => self.ask(),
            1 => Step::Wait(self.of(&[1, 90 * 1000, 2 * HOUR_MS, 25 * HOUR_MS])),
            2 => Step::KeepHouse,
            3 => Step::Restart,
            _ => Step::Crash,
        }
    }

    fn ask(&mut self) -> Step {
        let together = self.of(&[1, 1, 1, 1, 1, 2, 2, 3, 4]);
        // A file is read before it is published, and nothing must change in between.
        let asked = if self.one_in(60) {
            vec![Asked::Service(Request::PublishDrafts)]
        } else {
            (0..together).map(|_| self.asked()).collect()
        };
        let faults = match self.weighted(&[12, 5, 1]) {
            0 => vec![],
            1 => self.faults(),
            _ => [self.faults(), self.faults()].concat(),
        };
        Step::Ask { asked, faults }
    }

    fn asked(&mut self) -> Asked {
        if self.one_in(20) {
            let count = self.rng.usize(1..4);
            return Asked::Batch((0..count).map(|_| self.usage()).collect());
        }
        let request = self.request();
        if self.over_http && !self.one_in(4) && http::speaks(&request) {
            Asked::Http(request)
        } else {
            Asked::Service(request)
        }
    }

    fn request(&mut self) -> Request {
        match self.weighted(&[14, 14, 14, 6, 8, 4, 4, 6, 14, 3, 4, 6, 6]) {
            0 => Request::RecordUsage(self.usage()),
            1 => self.use_feature(),
            2 => self.keyed(),
            3 => self.change_of_a_user(),
            4 => self.subscribe(),
            5 => Request::CancelSubscription(self.subscription()),
            6 if self.one_in(3) => self.change_of_a_package(),
            6 if self.one_in(2) => Request::SetEnd { id: self.subscription(), at: self.end() },
            6 => {
                let (id, quantity) = (self.subscription(), self.quantity());
                Request::UpdateSubscription { id, quantity }
            }
            7 => self.overriding(),
            8 => self.question(),
            9 => self.change_of_the_catalog(),
            10 => Request::VoidUsage(self.of(&KEYS)),
            11 => self.granting(),
            _ => self.holding(),
        }
    }

    fn change_of_a_package(&mut self) -> Request {
        let package = self.of(&[BASIC, PRO, BASIC, PRO, EXTRA, PLUS, LATE]);
        let at = if self.one_in(2) { None } else { self.instant_ahead() };
        let carries = if at.is_none() { self.one_in(2) } else { self.one_in(10) };
        let quantity = self.one_in(3).then(|| self.quantity());
        Request::ChangePackage { id: self.subscription(), package, at, carries, quantity }
    }

    /// The place of a subscription among all, the first ones more often.
    fn subscription(&mut self) -> Id {
        let among = self.of(&[2, 6, 20]);
        Id(self.rng.u128(..among))
    }

    fn user(&mut self) -> Name {
        match self.weighted(&[8, 3, 1]) {
            0 => ADA,
            1 => BOB,
            _ => CYD,
        }
    }

    fn feature(&mut self) -> Name {
        match self.weighted(&[14, 1, 1, 3]) {
            0 => CALLS,
            1 => SSO,
            2 => LATE_CALLS,
            _ => IMAGES,
        }
    }

    /// Times that a request may name. None of them is ever what the clock shows, since a time that
    /// is named need not be the same request as none that is.
    fn occurred_at(&mut self) -> Option<At> {
        if !self.one_in(4) {
            return None;
        }
        let ms = self.of(&[-40 * DAY_MS, -10 * DAY_MS, -MINUTE_MS, MINUTE_MS, 6 * MINUTE_MS]);
        Some(At(START.0 + ms))
    }

    fn usage(&mut self) -> Usage {
        let (action, delta) = match self.weighted(&[16, 6, 1, 1]) {
            0 => (Action::Add, self.rng.i64(-2..=3)),
            1 => (Action::Set, self.rng.i64(0..=3)),
            2 => (Action::Set, -1),
            _ => (Action::Add, i64::from(i32::MAX)),
        };
        let (user, feature, occurred_at) = (self.user(), self.feature(), self.occurred_at());
        Usage { user, feature, action, delta, occurred_at, key: None }
    }

    fn use_feature(&mut self) -> Request {
        let delta = match self.weighted(&[24, 1, 1, 1]) {
            0 => self.rng.i64(0..=2),
            1 => -1,
            2 => 9,
            _ => i64::from(i32::MAX),
        };
        Request::UseFeature { user: self.user(), feature: self.feature(), delta, key: None }
    }

    /// A request with a key: a new one, or one that was sent before.
    fn keyed(&mut self) -> Request {
        if !self.keyed.is_empty() && self.one_in(2) {
            let newest = self.keyed.len() - 1;
            let place = if self.one_in(2) { newest } else { self.rng.usize(..=newest) };
            let again = self.keyed[place].clone();
            return if self.one_in(12) { again.about(self.user()) } else { again };
        }
        let request =
            if self.one_in(2) { Request::RecordUsage(self.usage()) } else { self.use_feature() };
        let request = request.under(self.of(&KEYS));
        self.keyed.push(request.clone());
        request
    }

    fn edit(&mut self, value: Name) -> Edit {
        self.of(&[Edit::Keep, Edit::Clear, Edit::Set(value)])
    }

    fn change_of_a_user(&mut self) -> Request {
        match self.weighted(&[4, 4, 4, 1]) {
            3 => Request::DeleteUser(self.of(&[ADA, CYD, CYD])),
            0 => {
                let (user, name) = (self.of(&[ADA, CYD, CYD]), self.of(&[None, Some("Ms.")]));
                Request::CreateUser { user, name, email: None }
            }
            1 => {
                let ids = [(ADA, CYD), (ADA, CYD), (CYD, ADA), (CYD, ADA), (ADA, BOB), (ADA, ADA)];
                let (user, new_id) = self.of(&ids);
                let (name, email) = (Edit::Keep, Edit::Keep);
                Request::UpdateUser { user, new_id: Some(new_id), name, email }
            }
            _ => {
                let (user, name) = (self.user(), self.edit("Ms."));
                Request::UpdateUser { user, new_id: None, name, email: self.edit("x@y.co") }
            }
        }
    }

    fn first_packages(&mut self) -> Vec<Name> {
        let options: [&[Name]; 5] =
            [&[BASIC], &[PRO], &[BASIC, EXTRA], &[EXTRA, PRO], &[PRO, EXTRA, PLUS]];
        self.of(&options).to_vec()
    }

    fn subscribe(&mut self) -> Request {
        let odd: [&[Name]; 8] = [
            &[EXTRA],
            &[PLUS],
            &[BASIC, PLUS],
            &[EXTRA, EXTRA],
            &[BASIC, PRO],
            &[LATE],
            &[LATER],
            &[],
        ];
        let packages = if self.one_in(2) { self.first_packages() } else { self.of(&odd).to_vec() };
        let starts = [A_MONTH_AGO, At(START.0 - 25 * HOUR_MS), At(START.0 + DAY_MS)];
        let started_at = self.one_in(3).then(|| self.of(&starts));
        let quantities = self.one_in(3).then(|| packages.iter().map(|_| self.quantity()).collect());
        let ahead = self.ahead();
        // Both together are refused.
        let started_at = started_at.filter(|_| ahead.starts_at.is_none() || self.one_in(4));
        Request::Subscribe { user: self.user(), packages, quantities, started_at, ahead }
    }

    /// Starts, trials and ends, of which some come on the way.
    fn ahead(&mut self) -> Ahead {
        let starts_at = if self.one_in(3) { self.instant_ahead() } else { None };
        let trial_days = self.one_in(4).then(|| self.of(&[1, 1, 2, 3, 30, 0]));
        let ends_with_trial = trial_days.is_some() && self.one_in(2);
        Ahead { starts_at, trial_days, ends_with_trial }
    }

    /// An end of a subscription; none takes it back.
    fn end(&mut self) -> Option<At> {
        if self.one_in(4) { None } else { self.instant_ahead() }
    }

    fn instant_ahead(&mut self) -> Option<At> {
        let hours = self.of(&[1, 3, 25, 26, 30, 2 * 24, 3 * 24, 5 * 24]);
        Some(At(START.0 + hours * HOUR_MS))
    }

    fn overriding(&mut self) -> Request {
        let (user, feature) = (self.user(), self.feature());
        if self.one_in(5) {
            return Request::RemoveOverride { user, feature };
        }
        let says = match self.weighted(&[8, 2, 3]) {
            0 => {
                Says::Limit(self.of(&[0, 2, 9, 500, -1]), self.of(&[None, Some(true), Some(false)]))
            }
            1 => Says::Unlimited,
            _ => Says::Deny,
        };
        let ends = [At(START.0 + HOUR_MS), At(START.0 + 9 * DAY_MS), At(START.0 + 400 * DAY_MS)];
        let ends_at = self.one_in(3).then(|| self.of(&ends));
        Request::SetOverride { user, feature, says, ends_at }
    }

    fn granting(&mut self) -> Request {
        let (user, id) = (self.user(), self.of(&["g1", "g2", "g3"]));
        if self.one_in(4) {
            return Request::VoidGrant { user, id };
        }
        let starts = [At(START.0 - 5 * DAY_MS), At(START.0 + 2 * HOUR_MS)];
        let ends = [At(START.0 + HOUR_MS), At(START.0 + 9 * DAY_MS), At(START.0 + 400 * DAY_MS)];
        Request::CreateGrant(Giving {
            user,
            id,
            feature: self.feature(),
            amount: self.of(&[1, 2, 5, 5, 40, 2_000_000, 0]),
            priority: self.of(&[0, 0, 0, -1, 3, -100]),
            starts_at: self.one_in(3).then(|| self.of(&starts)),
            expires_at: self.one_in(2).then(|| self.of(&ends)),
        })
    }

    fn holding(&mut self) -> Request {
        let (user, id) = (self.user(), self.of(&["h1", "h2", "h3"]));
        let seconds = self.of(&[1, 60, 900, 604_800, 0]);
        match self.weighted(&[5, 3, 1, 1]) {
            0 => Request::CreateHold(Holding {
                user,
                feature: self.feature(),
                id,
                amount: self.of(&[1, 2, 5, 40, 2_000_000, 0]),
                seconds,
            }),
            1 => {
                let amounts = [None, None, Some(0), Some(1), Some(7), Some(-1)];
                Request::SettleHold { user, id, amount: self.of(&amounts) }
            }
            2 => Request::ReleaseHold { user, id },
            _ => Request::ExtendHold { user, id, seconds },
        }
    }

    fn quantity(&mut self) -> i64 {
        self.of(&[1, 1, 2, 3, 3, 7, 1_000_000, 0])
    }

    fn question(&mut self) -> Request {
        let (user, feature) = (self.user(), self.feature());
        match self.weighted(&[6, 3, 1, 1, 2, 1, 1, 1, 1, 1, 1]) {
            0 => Request::CanUseFeature { user, feature, delta: self.of(&[1, 1, 0, -1]) },
            1 => Request::ShowUsage { user, feature },
            2 => Request::User(user),
            3 => Request::Users,
            4 => Request::Subscriptions(user),
            5 => Request::AllSubscriptions,
            6 => Request::Subscription(self.subscription()),
            7 => Request::Reached(user),
            8 => Request::Grants { user, feature },
            9 => Request::Holds { user, feature },
            _ => Request::Catalog,
        }
    }

    fn change_of_the_catalog(&mut self) -> Request {
        let package = self.of(&[BASIC, EXTRA, EXTRA, LATE, LATER]);
        match self.weighted(&[1, 2, 1, 3, 1, 1]) {
            0 => Request::CreateFeature { feature: LATE_CALLS, binary: false },
            1 => {
                let terms = Terms { reset: None, overage: false, rollover: None, ..self.terms() };
                let (features, bases) = (vec![(CALLS, Some(terms))], vec![]);
                Request::CreatePackage(NewPackage { package: LATE, addon: false, bases, features })
            }
            2 => {
                let (features, bases) = (vec![(LATE_CALLS, None)], vec![BASIC]);
                Request::CreatePackage(NewPackage { package: LATER, addon: true, bases, features })
            }
            3 => Request::PublishPackage(package),
            4 => Request::SetCost { feature: self.feature(), cost: self.of(&[1, 2, 3, 1000]) },
            _ => Request::ArchivePackage(package),
        }
    }

    /// What goes wrong together.
    fn faults(&mut self) -> Vec<Fault> {
        let failure = self.of(&[
            Failure::Unavailable,
            Failure::Unavailable,
            Failure::Conflict,
            Failure::Busy,
            Failure::Full,
            Failure::Engine,
        ]);
        let fails = Trouble::Fails(failure);
        let call = Since::Call(self.of(&[0, 0, 1, 2, 3, 4, 5, 7, 9]));
        let one = |since, trouble| Fault { since, times: 1, on: Calls::All, trouble };
        match self.weighted(&[5, 2, 3, 2, 3, 3, 2, 2, 2, 1]) {
            0 => vec![Fault { times: self.of(&[1, 1, 2, 4, 30]), ..one(call, fails) }],
            1 => vec![one(Since::Commit, fails)],
            2 => vec![one(Since::Commit, Trouble::LosesAnswer)],
            3 => vec![one(Since::Commit, Trouble::LosesCall)],
            4 => vec![Fault {
                times: FOREVER,
                on: self.of(&[Calls::Reads, Calls::Reads, Calls::All]),
                ..one(Since::AfterCommit, Trouble::Fails(Failure::Unavailable))
            }],
            5 => vec![one(call, Trouble::Delays(self.of(&[1, 40, 700, 4000])))],
            6 => vec![one(self.of(&[call, Since::Commit]), Trouble::FallsSilent)],
            7 if self.one_in(3) => vec![one(
                self.of(&[call, Since::Commit]),
                self.of(&[Trouble::CrashesBefore, Trouble::CrashesAfter]),
            )],
            7 | 8 => vec![one(call, self.of(&[Trouble::LosesCall, Trouble::LosesAnswer]))],
            _ => vec![Fault {
                times: FOREVER,
                on: self.of(&[Calls::All, Calls::Reads, Calls::Writes]),
                ..one(Since::Call(0), fails)
            }],
        }
    }
}
