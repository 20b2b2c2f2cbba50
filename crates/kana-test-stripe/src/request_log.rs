use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Requests that are remembered; the oldest are forgotten first.
const REQUESTS_MAX: usize = 100_000;

/// The requests to Stripe's API that came, whatever became of them.
#[derive(Debug, Default)]
pub(crate) struct RequestLog {
    requests: VecDeque<Request>,
}

#[derive(Debug)]
struct Request {
    method: String,
    path: String,
    at: Instant,
}

impl RequestLog {
    pub(crate) fn add(&mut self, method: &str, path: &str) {
        if self.requests.len() == REQUESTS_MAX {
            self.requests.pop_front();
        }
        let (method, path) = (method.to_owned(), path.to_owned());
        self.requests.push_back(Request { method, path, at: Instant::now() });
    }

    /// How many requests there were with this method, or any if it is empty, and a path that begins so.
    pub(crate) fn count(&self, method: &str, path: &str) -> usize {
        self.matching(method, path).count()
    }

    /// The most such requests that came within any one second.
    pub(crate) fn busiest_second(&self, method: &str, path: &str) -> usize {
        let mut within = VecDeque::new();
        let mut most = 0;
        for at in self.matching(method, path) {
            within.push_back(at);
            while within.front().is_some_and(|first| at - *first >= Duration::from_secs(1)) {
                within.pop_front();
            }
            most = most.max(within.len());
        }
        most
    }

    fn matching(&self, method: &str, path: &str) -> impl Iterator<Item = Instant> {
        let requests = self.requests.iter().filter(move |request| {
            (method.is_empty() || request.method == method) && request.path.starts_with(path)
        });
        requests.map(|request| request.at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Request, RequestLog};

    #[test]
    fn the_busiest_second_may_begin_at_any_request() {
        let start = Instant::now();
        let at = |millis| Request {
            method: "GET".into(),
            path: "/v1/events".into(),
            at: start + Duration::from_millis(millis),
        };
        let log = RequestLog { requests: [0, 900, 950, 1899, 1900, 5000].map(at).into() };
        assert_eq!(log.busiest_second("", "/v1"), 3);
        assert_eq!(log.busiest_second("POST", ""), 0);
        assert_eq!(log.count("GET", "/v1/events"), 6);
    }
}
