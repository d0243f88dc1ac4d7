//! Reads a whole chain of errors: what went wrong with a store, in kinds, and what people are told.
//!
//! `object_store`'s errors come in layers: its own enum, a retry error, an HTTP error, then those
//! of TLS, TCP and DNS; and a cloud says what it means in a `<Code>` of the answer's body. The
//! whole chain is read here, so an error of the engine with a store's error inside can be given as
//! it is. Words and exit codes are the command line's.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use object_store::client::{HttpError, HttpErrorKind};

use super::hint;
use super::kind::{ErrorKind, Explained, Explanation};
use crate::directory::{MissingDirectory, NotPermitted};
use crate::http::answer::StoreAnswer;
use crate::http::xml::between;

/// What is known about a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// What callers branch on.
    pub kind: ErrorKind,
    /// The code the store gave, such as `SignatureDoesNotMatch`.
    pub code: Option<String>,
    /// One line for people: the store's code and message, or the innermost error.
    pub cause: String,
    /// What the user can do, when we know it: a sentence.
    pub hint: Option<&'static str>,
}

/// The kind of a store's error.
pub fn classify(error: &object_store::Error) -> ErrorKind {
    diagnose(error).kind
}

/// Reads any error, a store's or one with a store's error among its sources.
pub fn diagnose(error: &(dyn StdError + 'static)) -> Diagnosis {
    let mut found = ChainReading::default();
    found.read(error);
    let kind = found.kind();
    let mut cause = match &found.answer {
        Some(answer) if answer.message.is_empty() => answer.code.clone(),
        Some(answer) => format!("{}: {}", answer.code, answer.message),
        None => found.cause.clone(),
    };
    if let Some(effort) = &found.effort {
        cause = format!("{cause} ({effort})");
    }
    let code = found.answer.map(|answer| answer.code);
    let by_words = || hint::for_failure(kind, code.as_deref(), &found.text);
    let hint = found.hint.or_else(by_words);
    Diagnosis {
        kind,
        code,
        cause,
        hint,
    }
}

/// The parts of a store's error answer.
struct CodedAnswer {
    code: String,
    message: String,
}

/// What the chain of sources says.
#[derive(Default)]
struct ChainReading {
    answer: Option<CodedAnswer>,
    transport: bool,
    /// What an error that knows it says of itself.
    settled: Option<ErrorKind>,
    denied: bool,
    not_found: bool,
    cause: String,
    /// How often and how long it was tried.
    effort: Option<String>,
    /// The hint of an error that has its own.
    hint: Option<&'static str>,
    /// Every layer's text, for hints that go by words.
    text: String,
}

impl ChainReading {
    fn read(&mut self, error: &(dyn StdError + 'static)) {
        let mut next = Some(error);
        while let Some(error) = next {
            self.read_layer(error);
            // An io::Error reports its content's source, not its content: look inside first.
            let inside = error
                .downcast_ref::<io::Error>()
                .and_then(io::Error::get_ref);
            next = match inside {
                Some(inside) => Some(inside),
                None => error.source(),
            };
        }
    }

    fn read_layer(&mut self, error: &(dyn StdError + 'static)) {
        let text = error.to_string();
        self.answer = self.answer.take().or_else(|| read_answer(&text));
        if let Some(said) = error.downcast_ref::<StoreAnswer>() {
            self.read_said(said);
        }
        if let Some(store) = error.downcast_ref::<object_store::Error>() {
            use object_store::Error::{NotFound, PermissionDenied, Unauthenticated};
            self.denied |= matches!(store, PermissionDenied { .. } | Unauthenticated { .. });
            self.not_found |= matches!(store, NotFound { .. });
        }
        // A refused listing is `Generic`, and not every store gives a code that we know.
        let refused = |status| text.contains(&format!("non-2xx status code: {status}"));
        self.denied |= refused("401") || refused("403");
        if let Some(http) = error.downcast_ref::<HttpError>() {
            use HttpErrorKind::{Connect, Interrupted, Request, Timeout};
            self.transport |= matches!(http.kind(), Connect | Interrupted | Request | Timeout);
        }
        if let Some(explained) = error.downcast_ref::<Explained>() {
            self.read_explained(explained, &text);
        } else if let Some(directory) = error.downcast_ref::<MissingDirectory>() {
            self.settle(directory.kind(), text.clone(), Some(directory.hint()));
        } else if error.is::<NotPermitted>() {
            self.settle(ErrorKind::Denied, text.clone(), Some(NotPermitted::HINT));
        }
        if let Some(io) = error.downcast_ref::<io::Error>() {
            self.denied |= io.kind() == io::ErrorKind::PermissionDenied;
        }
        self.note_cause(error, &text);
        self.text.push_str(&text);
        self.text.push('\n');
    }

    fn read_explained(&mut self, error: &Explained, own_text: &str) {
        match error.explain() {
            Explanation::Cause { kind, text, hint } => self.settle(kind, text, hint),
            Explanation::Unanswered => {
                self.transport = true;
                self.cause = own_text.to_owned();
            }
            Explanation::Effort => self.effort = Some(own_text.to_owned()),
        }
    }

    fn settle(&mut self, kind: ErrorKind, cause: String, hint: Option<&'static str>) {
        self.settled.get_or_insert(kind);
        self.hint = hint.or(self.hint);
        self.cause = cause;
    }

    fn read_said(&mut self, said: &StoreAnswer) {
        self.denied |= matches!(said.status.as_u16(), 401 | 403);
        if let Some(code) = &said.code {
            self.answer = Some(CodedAnswer {
                code: code.clone(),
                message: said.message.clone(),
            });
        }
    }

    /// The innermost text wins, behind the one of ours that names the endpoint or the file.
    fn note_cause(&mut self, error: &(dyn StdError + 'static), text: &str) {
        let last = error.source().is_none()
            && error
                .downcast_ref::<io::Error>()
                .is_none_or(|io| io.get_ref().is_none());
        if self.settled.is_some() || !last {
            return;
        }
        if self.cause.is_empty() {
            self.cause = text.to_owned();
        } else if self.cause != text {
            self.cause = format!("{}: {text}", self.cause);
        }
    }

    fn kind(&self) -> ErrorKind {
        if let Some(kind) = self.settled {
            return kind;
        }
        if let Some(kind) = self
            .answer
            .as_ref()
            .and_then(|answer| kind_of_code(&answer.code))
        {
            return kind;
        }
        if self.transport {
            ErrorKind::Unreachable
        } else if self.denied {
            ErrorKind::Denied
        } else if self.not_found {
            ErrorKind::NotFound
        } else {
            ErrorKind::Other
        }
    }
}

/// The text of an error's innermost source, or its own.
pub(crate) fn innermost(error: &dyn StdError) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// AWS, "Amazon S3 API Reference", "Error responses" (SeaweedFS and MinIO use the same codes, and
/// so does Google, "HTTP status and error codes for XML"); Microsoft, "Blob Storage error codes".
fn kind_of_code(code: &str) -> Option<ErrorKind> {
    match code {
        "NoSuchBucket" | "ContainerNotFound" => Some(ErrorKind::MissingBucket),
        "NoSuchKey" | "NoSuchUpload" | "NoSuchVersion" | "BlobNotFound" => {
            Some(ErrorKind::NotFound)
        }
        "AccountIsDisabled"
        | "AuthenticationFailed"
        | "AuthenticationRequired"
        | "AuthorizationFailure"
        | "AuthorizationPermissionMismatch"
        | "AuthorizationProtocolMismatch"
        | "AuthorizationResourceTypeMismatch"
        | "AuthorizationServiceMismatch"
        | "AuthorizationSourceIPMismatch"
        | "InsufficientAccountPermissions"
        | "InvalidAuthenticationInfo"
        | "InvalidSecurity"
        | "KeyBasedAuthenticationNotPermitted"
        | "NoAuthenticationInformation"
        | "PublicAccessNotPermitted" => Some(ErrorKind::Denied),
        "AccessDenied"
        | "AccountProblem"
        | "AllAccessDisabled"
        | "AuthorizationHeaderMalformed"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidAccessKeyId"
        | "InvalidToken"
        | "RequestTimeTooSkewed"
        | "SignatureDoesNotMatch"
        | "TokenRefreshRequired"
        | "UnauthorizedAccess" => Some(ErrorKind::Denied),
        _ => None,
    }
}

fn read_answer(text: &str) -> Option<CodedAnswer> {
    if let Some(code) = between(text, "<Code>", "</Code>") {
        let message = between(text, "<Message>", "</Message>").unwrap_or_default();
        // Azure goes on with the request's id and time.
        let first_line = message.lines().next().unwrap_or_default();
        return Some(CodedAnswer {
            code: code.into(),
            message: first_line.into(),
        });
    }
    // One key of a bulk deletion: "DeleteFailed ... (code: AccessDenied)".
    let code = between(text, "(code: ", ")")?;
    Some(CodedAnswer {
        code: code.into(),
        message: String::new(),
    })
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(body: &str) -> object_store::Error {
        let source = io::Error::other(format!("Server returned non-2xx status code: {body}"));
        object_store::Error::Generic {
            store: "S3",
            source: Box::new(source),
        }
    }

    #[test]
    fn the_code_of_an_answer_decides() {
        for (code, kind) in [
            ("NoSuchBucket", ErrorKind::MissingBucket),
            ("NoSuchKey", ErrorKind::NotFound),
            ("SignatureDoesNotMatch", ErrorKind::Denied),
            ("RequestTimeTooSkewed", ErrorKind::Denied),
            ("PermanentRedirect", ErrorKind::Other),
            ("SlowDown", ErrorKind::Other),
        ] {
            let body = format!("<Error><Code>{code}</Code><Message>Why.</Message></Error>");
            let diagnosis = diagnose(&s3(&body));
            assert_eq!(
                (diagnosis.kind, diagnosis.code.as_deref()),
                (kind, Some(code))
            );
            assert_eq!(diagnosis.cause, format!("{code}: Why."));
        }
    }

    #[test]
    fn a_refusal_without_a_code_is_denied() {
        let source = io::Error::other("Server returned non-2xx status code: 403 Forbidden: ");
        let error = object_store::Error::Generic {
            store: "S3",
            source: Box::new(source),
        };
        assert_eq!(classify(&error), ErrorKind::Denied);
    }

    #[test]
    fn an_error_inside_an_io_error_is_seen() {
        let inner = s3("<Code>AccessDenied</Code>");
        let outer = io::Error::other(inner);
        assert_eq!(diagnose(&outer).kind, ErrorKind::Denied);
    }

    #[test]
    fn a_full_disk_has_a_hint() {
        let source = Box::new(io::Error::from(io::ErrorKind::StorageFull));
        let error = object_store::Error::Generic {
            store: "directory",
            source,
        };
        let diagnosis = diagnose(&error);
        assert_eq!(diagnosis.kind, ErrorKind::Other);
        assert!(diagnosis.hint.is_some(), "{diagnosis:?}");
    }

    #[test]
    fn a_wrong_region_and_a_wrong_clock_have_hints() {
        for (code, word) in [
            ("PermanentRedirect", "region"),
            ("RequestTimeTooSkewed", "clock"),
        ] {
            let diagnosis = diagnose(&s3(&format!("<Code>{code}</Code>")));
            assert!(
                diagnosis.hint.is_some_and(|hint| hint.contains(word)),
                "{diagnosis:?}"
            );
        }
    }
}
