//! Which requests are spoiled.

use std::str::FromStr;

use super::{ParseSpoil, Service, Spoil};

/// Requests to be spoiled, and how.
#[derive(Clone, Debug)]
pub struct Rule {
    which: Which,
    spoil: Spoil,
    struck: u64,
}

/// A choice of requests. Every condition must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Which {
    first: u64,
    last: u64,
    service: Option<Service>,
    method: Option<String>,
    path: Option<String>,
    times: u64,
}

impl Which {
    /// The request with this number.
    pub fn number(number: u64) -> Self {
        Self { first: number, last: number, ..Self::all() }
    }

    /// The request with this number and all after it.
    pub fn from(number: u64) -> Self {
        Self { first: number, ..Self::all() }
    }

    /// Every request.
    pub fn all() -> Self {
        Self { first: 0, last: u64::MAX, service: None, method: None, path: None, times: u64::MAX }
    }

    /// Of these, the requests to one service.
    #[must_use]
    pub fn to(self, service: Service) -> Self {
        Self { service: Some(service), ..self }
    }

    /// Of these, the requests with this method, such as `POST`.
    #[must_use]
    pub fn method(self, method: &str) -> Self {
        Self { method: Some(method.to_owned()), ..self }
    }

    /// Of these, the requests whose path and query contain this text.
    #[must_use]
    pub fn path(self, text: &str) -> Self {
        Self { path: Some(text.to_owned()), ..self }
    }

    /// Of these, the first so many.
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self { times, ..self }
    }

    fn includes(&self, number: u64, service: Service, method: &str, path: &str) -> bool {
        (self.first..=self.last).contains(&number)
            && self.service.is_none_or(|wanted| wanted == service)
            && self.method.as_deref().is_none_or(|wanted| wanted == method)
            && self.path.as_deref().is_none_or(|text| path.contains(text))
    }
}

impl FromStr for Which {
    type Err = ParseSpoil;

    /// `12`, `12..` (from there on) or `..` (all).
    fn from_str(text: &str) -> Result<Self, ParseSpoil> {
        let number = |text: &str| text.parse().ok().filter(|number| *number > 0);
        let which = match text.strip_suffix("..") {
            Some("") => Some(Self::all()),
            Some(first) => number(first).map(Self::from),
            None => number(text).map(Self::number),
        };
        which.ok_or_else(|| ParseSpoil(format!("no request is meant by {text:?}; use 12, 12.. or ..")))
    }
}

impl Rule {
    /// Spoils these requests in this way.
    pub fn new(which: Which, spoil: Spoil) -> Self {
        Self { which, spoil, struck: 0 }
    }

    /// How the request is spoiled by this rule, if it is; it counts as one of the rule's times then.
    pub(super) fn strike(
        &mut self,
        number: u64,
        service: Service,
        method: &str,
        path: &str,
    ) -> Option<Spoil> {
        let due = self.struck < self.which.times && self.which.includes(number, service, method, path);
        due.then(|| {
            self.struck += 1;
            self.spoil
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of the requests a rule spoils, of four to each of two services.
    fn spoiled(which: Which) -> Vec<u64> {
        let mut rule = Rule::new(which, Spoil::Cut);
        let requests = (1..=8).map(|number| {
            let service = if number % 2 == 0 { Service::Gitea } else { Service::Kubernetes };
            (number, service, if number > 4 { "POST" } else { "GET" }, format!("/things/{number}?watch=1"))
        });
        requests
            .filter(|(number, service, method, path)| rule.strike(*number, *service, method, path).is_some())
            .map(|(number, ..)| number)
            .collect()
    }

    #[test]
    fn all_conditions_must_hold_and_times_counts_only_those_struck() {
        assert_eq!(spoiled(Which::number(3)), [3]);
        assert_eq!(spoiled(Which::from(7)), [7, 8]);
        assert_eq!(spoiled(Which::all().to(Service::Gitea)), [2, 4, 6, 8]);
        assert_eq!(spoiled(Which::all().to(Service::Gitea).times(2)), [2, 4]);
        assert_eq!(spoiled(Which::from(3).to(Service::Gitea).times(1)), [4]);
        assert_eq!(spoiled(Which::all().method("POST").path("/6?")), [6]);
        assert!(spoiled(Which::number(3).to(Service::Gitea)).is_empty());
    }

    #[test]
    fn requests_are_named_by_number_or_from_a_number_on() {
        assert_eq!("3".parse::<Which>().unwrap(), Which::number(3));
        assert_eq!("3..".parse::<Which>().unwrap(), Which::from(3));
        assert_eq!("..".parse::<Which>().unwrap(), Which::all());
        for text in ["", "0", "x", "..3", "3...", "-1"] {
            assert!(text.parse::<Which>().is_err(), "{text:?} was taken");
        }
    }
}
