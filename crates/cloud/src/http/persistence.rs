//! The one rule by which a request is sent again, and what people are told meanwhile.
//!
//! Patience is a time, not a number of tries: a request is sent again as long as its trouble will
//! probably pass, with growing and random waits, until [`Persistence::passing`] after the first
//! failure; one that takes long itself gets three tries at least. What an answer means, each
//! cloud's [`Dialect`] says. Always true: an error that leaves here is final, and the storage
//! client does not try it again; every attempt is signed anew.

use std::error::Error;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::Method;
use http::header::{HeaderValue, RANGE};
use object_store::client::{
    HttpClient, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse, HttpService,
};

use super::answer::{Asked, StoreAnswer};
use super::contact::NeverAnswered;
use super::dialect::{Again, Dialect, Judgement};
use crate::failure::{Explained, Explains, Explanation, diagnose};

/// How long requests are tried again, and who is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Persistence {
    /// For an endpoint that has never answered in this process.
    pub first_contact: Duration,
    /// For trouble that will probably pass.
    pub passing: Duration,
    /// Who is told that a store is away, or what it lacks.
    pub voice: Voice,
}

/// A person waits in front of the command, and a wrong address should show at once.
impl Default for Persistence {
    fn default() -> Self {
        Persistence {
            first_contact: Duration::from_secs(8),
            passing: Duration::from_secs(180),
            voice: Voice::default(),
        }
    }
}

/// Takes warnings to people; mute without a listener.
#[derive(Clone, Default)]
pub struct Voice(Option<Arc<Listener>>);

type Listener = dyn Fn(&str) + Send + Sync;

impl Voice {
    /// A voice that `listener` hears.
    pub fn new(listener: impl Fn(&str) + Send + Sync + 'static) -> Voice {
        Voice(Some(Arc::new(listener)))
    }

    pub(crate) fn warn(&self, text: &str) {
        if let Some(listener) = &self.0 {
            listener(text);
        }
    }
}

impl fmt::Debug for Voice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Voice")
    }
}

/// Settings are the same with any listener.
impl PartialEq for Voice {
    fn eq(&self, _: &Voice) -> bool {
        true
    }
}

impl Eq for Voice {}

/// The first wait; each is twice the one before.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// Where the endpoint has not answered yet.
const LONGEST_FIRST_WAIT: Duration = Duration::from_secs(2);
/// A store that wants to be left alone for longer is asked after this all the same.
const LONGEST_WISH: Duration = Duration::from_secs(30);
/// Even when each attempt takes longer than the patience.
const FEWEST_TRIES: u32 = 3;
/// What a fresh signature, or another address, may mend is sent again at once so many times, but
/// not after the same answer twice.
const MOST_CORRECTIONS: u32 = 3;
/// Trouble that is over within this time is not worth a word ...
const WORTH_A_WORD: Duration = Duration::from_secs(2);
/// ... and of longer one there is a word so often, however many requests it stops.
const WORDS_EVERY: Duration = Duration::from_secs(30);

/// A request that was tried again until the patience was over.
#[derive(Debug, thiserror::Error)]
#[error("tried {tries} times in {} s", elapsed.as_secs())]
pub(crate) struct GaveUp {
    tries: u32,
    elapsed: Duration,
    #[source]
    source: Trouble,
}

impl Explains for GaveUp {
    fn explain(&self) -> Explanation {
        Explanation::Effort
    }
}

/// Why a request is sent again.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{0}")]
    Lost(#[from] HttpError),
    #[error("{0}")]
    Answer(#[from] StoreAnswer),
}

impl Trouble {
    fn never_answered(&self) -> bool {
        matches!(self, Trouble::Lost(error)
            if error
                .source()
                .and_then(|source| source.downcast_ref::<Explained>())
                .is_some_and(|source| source.is::<NeverAnswered>()))
    }
}

/// A client that tries again.
#[derive(Debug)]
pub(crate) struct Persistent {
    pub(crate) client: HttpClient,
    pub(crate) dialect: Arc<dyn Dialect>,
    pub(crate) persistence: Persistence,
    /// When people were told last that the store is away.
    pub(crate) told: Mutex<Option<Instant>>,
    /// Whether the whole patience was spent once, and no answer came since: it is not spent again
    /// for each request with which the work then ends.
    pub(crate) is_spent: AtomicBool,
}

#[async_trait]
impl HttpService for Persistent {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let asked = Asked::of(&request);
        let mut effort = Attempts::default();
        let (mut again, mut corrections) = (Again::First, 0);
        let mut corrected: Option<StoreAnswer> = None;
        loop {
            let trouble = match self.attempt(&request, &asked, again).await {
                Ok(Judgement::Answer(answer)) => {
                    self.is_spent.store(false, Ordering::Relaxed);
                    return Ok(answer);
                }
                Ok(Judgement::Unproven(answer)) => match self.ask_by_reading(&request).await? {
                    None => return Ok(answer),
                    Some(trouble) => trouble,
                },
                Ok(Judgement::Final(answer)) => return Err(answer.into_error()),
                Ok(Judgement::Corrected(answer)) => {
                    corrections += 1;
                    again = Again::Anew;
                    let is_same = corrected.is_some_and(|before| before.code == answer.code);
                    if is_same || corrections > MOST_CORRECTIONS {
                        return Err(answer.into_error());
                    }
                    corrected = Some(answer);
                    continue;
                }
                Ok(Judgement::Passing(answer)) => Trouble::Answer(answer),
                Err(error) if error.kind() == HttpErrorKind::Unknown => return Err(error),
                Err(error) => Trouble::Lost(error),
            };
            again = Again::Anew;
            match effort.next_wait(self.patience(), &trouble) {
                Some(wait) => {
                    self.tell(&asked, &effort, &trouble);
                    tokio::time::sleep(wait).await;
                }
                None => {
                    self.is_spent.store(true, Ordering::Relaxed);
                    return Err(effort.give_up(trouble));
                }
            }
        }
    }
}

impl Persistent {
    fn patience(&self) -> Duration {
        if self.is_spent.load(Ordering::Relaxed) {
            Duration::ZERO
        } else {
            self.persistence.passing
        }
    }

    async fn attempt(
        &self,
        request: &HttpRequest,
        asked: &Asked,
        again: Again,
    ) -> Result<Judgement, HttpError> {
        let mut request = request.clone();
        self.dialect.prepare(&mut request, again).await?;
        let answer = self.client.execute(request).await?;
        self.dialect.judge(asked, answer).await
    }

    /// The answer to a question about an object's head has no room for words, so "not there" may
    /// be the word of a proxy, or about the bucket. `None` is the store's own word for it.
    async fn ask_by_reading(&self, request: &HttpRequest) -> Result<Option<Trouble>, HttpError> {
        let mut reading = request.clone();
        *reading.method_mut() = Method::GET;
        *reading.body_mut() = HttpRequestBody::empty();
        let first_byte = HeaderValue::from_static("bytes=0-0");
        reading.headers_mut().insert(RANGE, first_byte);
        let asked = Asked::of(&reading);
        match self.attempt(&reading, &asked, Again::Anew).await {
            Ok(Judgement::Answer(answer)) if answer.status() == 404 => Ok(None),
            Ok(Judgement::Answer(answer) | Judgement::Unproven(answer)) => {
                let cause = "to a read of what it had said is not there";
                Ok(Some(StoreAnswer::unfit(answer.status(), cause).into()))
            }
            Ok(Judgement::Passing(answer) | Judgement::Corrected(answer)) => {
                Ok(Some(answer.into()))
            }
            Ok(Judgement::Final(answer)) => Err(answer.into_error()),
            Err(error) if error.kind() == HttpErrorKind::Unknown => Err(error),
            Err(error) => Ok(Some(error.into())),
        }
    }

    fn tell(&self, asked: &Asked, effort: &Attempts, trouble: &Trouble) {
        let lasts = effort.elapsed();
        if lasts < WORTH_A_WORD {
            return;
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_some_and(|told| told.elapsed() < WORDS_EVERY) {
            return;
        }
        *told = Some(Instant::now());
        let patience = if trouble.never_answered() {
            self.persistence.first_contact
        } else {
            self.persistence.passing
        };
        let left = patience.saturating_sub(lasts).as_secs();
        let cause = match trouble {
            Trouble::Lost(error) => diagnose(error).cause,
            Trouble::Answer(answer) => answer.to_string(),
        };
        let (host, minutes, seconds) = (&asked.authority, left / 60, left % 60);
        let text = format!("{host}: {cause}, trying again for {minutes}:{seconds:02}");
        self.persistence.voice.warn(&text);
    }
}

/// What one request has been through.
#[derive(Debug, Default)]
struct Attempts {
    first_failure: Option<Instant>,
    tries: u32,
}

impl Attempts {
    fn elapsed(&self) -> Duration {
        self.first_failure.map_or(Duration::ZERO, |it| it.elapsed())
    }

    /// Notes a failure: how long to wait before the next attempt, if there is to be one.
    fn next_wait(&mut self, patience: Duration, trouble: &Trouble) -> Option<Duration> {
        self.first_failure.get_or_insert_with(Instant::now);
        self.tries += 1;
        let left = patience.checked_sub(self.elapsed());
        let left = left.filter(|left| !left.is_zero());
        if left.is_none() && self.tries >= FEWEST_TRIES {
            return None;
        }
        let wait = FIRST_WAIT.saturating_mul(1 << (self.tries - 1).min(16));
        let longest = if trouble.never_answered() {
            LONGEST_FIRST_WAIT
        } else {
            LONGEST_WAIT
        };
        let wait = wait.min(longest).mul_f64(between_half_and_whole());
        let wished = match trouble {
            Trouble::Answer(answer) => answer.retry_after.unwrap_or_default(),
            Trouble::Lost(_) => Duration::ZERO,
        };
        let wait = wait.max(wished.min(LONGEST_WISH));
        // The last attempt is at the end of the patience.
        Some(left.map_or(wait, |left| wait.min(left)))
    }

    fn give_up(self, source: Trouble) -> HttpError {
        let gave_up = GaveUp {
            tries: self.tries,
            elapsed: self.elapsed(),
            source,
        };
        HttpError::new(HttpErrorKind::Unknown, Explained::from(gave_up))
    }
}

/// Keeps clients that failed together from coming back together.
fn between_half_and_whole() -> f64 {
    let random = RandomState::new().hash_one(0_u8);
    0.5 + (random % 1000) as f64 / 2000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end_with_the_patience() {
        let lost = Trouble::Answer(StoreAnswer::unfit(http::StatusCode::BAD_GATEWAY, ""));
        let mut effort = Attempts::default();
        let patience = Duration::from_secs(100);
        let waits: Vec<_> = (0..12)
            .map(|_| effort.next_wait(patience, &lost).unwrap())
            .collect();
        assert!(waits[0] <= FIRST_WAIT && waits[0] >= FIRST_WAIT / 2);
        assert!(waits[11] <= LONGEST_WAIT && waits[11] >= LONGEST_WAIT / 2);
        let mut brief = Attempts::default();
        for _ in 1..FEWEST_TRIES {
            assert!(brief.next_wait(Duration::ZERO, &lost).is_some());
        }
        assert_eq!(brief.next_wait(Duration::ZERO, &lost), None);
    }

    #[test]
    fn a_store_that_says_when_is_asked_then_but_not_after_hours() {
        let mut answer = StoreAnswer::unfit(http::StatusCode::SERVICE_UNAVAILABLE, "");
        for (wish, expected) in [(5, 5), (86_400, 30)] {
            answer.retry_after = Some(Duration::from_secs(wish));
            let trouble = Trouble::Answer(answer.clone());
            let wait = Attempts::default().next_wait(Duration::from_secs(600), &trouble);
            assert_eq!(wait, Some(Duration::from_secs(expected)));
        }
    }
}
