//! Which requests are spoilt, and how.

use std::time::Duration;

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends; the store sees nothing.
    Drop,
    /// This HTTP status; the store sees nothing.
    Answer(u16),
    /// This status with this code of S3 in the answer; the store sees nothing.
    Refuse(u16, &'static str),
    /// These very bytes, head included, and the end; the store sees nothing.
    Say(&'static str),
    /// It is forwarded after this time.
    Delay(Duration),
    /// The store carries it out, and the connection ends without an answer.
    LoseAnswer,
    /// The answer ends after this many bytes of its body.
    CutAnswerAfter(u64),
}

/// A fault and the requests it is for: any request, the first one, once, unless said otherwise.
#[derive(Debug, Clone)]
pub struct Rule {
    fault: Fault,
    method: Option<String>,
    target_has: Vec<String>,
    skip: u32,
    times: u32,
}

impl Rule {
    /// A rule that spoils the first request.
    pub fn new(fault: Fault) -> Rule {
        Rule {
            fault,
            method: None,
            target_has: Vec::new(),
            skip: 0,
            times: 1,
        }
    }

    /// Only requests with this method.
    pub fn method(mut self, method: &str) -> Rule {
        self.method = Some(method.into());
        self
    }

    /// Only requests with this text in path or query; several such texts must all be there.
    pub fn target_has(mut self, text: &str) -> Rule {
        self.target_has.push(text.into());
        self
    }

    /// Lets this many fitting requests pass first.
    pub fn after(mut self, count: u32) -> Rule {
        self.skip = count;
        self
    }

    /// Spoils this many fitting requests instead of one.
    pub fn times(mut self, count: u32) -> Rule {
        self.times = count;
        self
    }

    /// Spoils all fitting requests.
    pub fn always(self) -> Rule {
        self.times(u32::MAX)
    }
}

/// A rule and how many fitting requests have come.
#[derive(Debug)]
pub(super) struct Counted {
    rule: Rule,
    met: u32,
}

impl Counted {
    pub(super) fn new(rule: Rule) -> Counted {
        Counted { rule, met: 0 }
    }

    pub(super) fn judge(&mut self, method: &str, target: &str) -> Option<Fault> {
        let rule = &self.rule;
        let fits = rule.method.as_deref().is_none_or(|wanted| wanted == method)
            && rule
                .target_has
                .iter()
                .all(|text| target.contains(text.as_str()));
        if !fits {
            return None;
        }
        let position = self.met;
        self.met = self.met.saturating_add(1);
        let spoilt = position >= rule.skip && position - rule.skip < rule.times;
        spoilt.then_some(rule.fault)
    }
}

#[cfg(test)]
mod tests {
    use super::{Counted, Fault, Rule};

    #[test]
    fn the_seventh_part_alone_is_spoilt() {
        let rule = Rule::new(Fault::Drop)
            .method("PUT")
            .target_has("partNumber=")
            .after(6);
        let mut counted = Counted::new(rule);
        let part = |number| format!("/b/k?partNumber={number}");
        let faults: Vec<_> = (1..10)
            .map(|number| counted.judge("PUT", &part(number)))
            .collect();
        assert_eq!(faults.iter().position(Option::is_some), Some(6));
        assert_eq!(faults.iter().flatten().count(), 1);
        assert_eq!(counted.judge("GET", "/b/k?partNumber=1"), None);
    }
}
