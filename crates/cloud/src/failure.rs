//! What went wrong with a store, in the five kinds that exit codes and retries tell apart.
//!
//! `object_store`'s errors come in layers: its own enum, a retry error, an HTTP error, then those
//! of TLS, TCP and DNS; and a cloud says what it means in a `<Code>` of the answer's body. The
//! whole chain is read here, so an error of the engine with a store's error inside can be given as
//! it is. Words and exit codes are the command line's.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use engine::store::Bucket;
use http::StatusCode;
use object_store::client::{HttpError, HttpErrorKind};
use object_store::list::PaginatedListOptions;

use crate::answer::StoreAnswer;
use crate::directory::{NotPermitted, describe};
use crate::hint;
use crate::location::Provider;
use crate::persistence::GaveUp;
use crate::s3::IdentityError;

/// The kinds of failure that a caller branches on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// No answer: DNS, connection, TLS handshake or a time limit. Barman's exit code 2.
    Unreachable,
    /// The bucket, or the directory that stands for it, does not exist.
    MissingBucket,
    /// The store answered and refused: credentials, signature, clock or permissions.
    Denied,
    /// The bucket is there, the object is not.
    NotFound,
    /// Anything else.
    Other,
}

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
    let mut found = Found::default();
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

/// A bucket that `-t` found unusable.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {url}: {}", diagnosis.cause)]
pub struct ConnectivityError {
    /// The bucket.
    pub url: String,
    /// Kind, cause and hint.
    pub diagnosis: Diagnosis,
    /// Whose bucket it is; a directory has no provider.
    pub provider: Option<Provider>,
    #[source]
    source: object_store::Error,
}

/// Whether the bucket exists and may be listed: one request, at most one key.
pub async fn check_connectivity(bucket: &Bucket) -> Result<(), ConnectivityError> {
    let options = PaginatedListOptions {
        max_keys: Some(1),
        ..Default::default()
    };
    match bucket.lister.list_paginated(None, options).await {
        Ok(_) => Ok(()),
        Err(source) => {
            let diagnosis = diagnose(&source);
            Err(ConnectivityError {
                url: bucket.url.clone(),
                diagnosis,
                provider: Provider::of_bucket_url(&bucket.url),
                source,
            })
        }
    }
}

/// A directory that cannot be a bucket.
#[derive(Debug, thiserror::Error)]
#[error("cannot open directory {}: {cause}", path.display())]
pub struct MissingDirectory {
    path: PathBuf,
    cause: String,
    kind: ErrorKind,
}

impl MissingDirectory {
    pub(crate) fn new(path: &Path, cause: impl Into<String>) -> MissingDirectory {
        MissingDirectory {
            path: path.into(),
            cause: cause.into(),
            kind: ErrorKind::MissingBucket,
        }
    }

    /// One that the system would not let us use is not missing: whose it is matters then.
    pub(crate) fn of(path: &Path, error: &io::Error) -> MissingDirectory {
        match error.kind() {
            io::ErrorKind::PermissionDenied => MissingDirectory {
                path: path.into(),
                cause: format!("permission denied: {}", describe(path)),
                kind: ErrorKind::Denied,
            },
            _ => MissingDirectory::new(path, error.to_string()),
        }
    }

    pub(crate) fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub(crate) fn hint(&self) -> &'static str {
        match self.kind {
            ErrorKind::Denied => NotPermitted::HINT,
            _ => "Create the directory first: mkdir -p.",
        }
    }
}

/// An endpoint from which nothing ever came in this process.
#[derive(Debug, thiserror::Error)]
#[error("no answer from {endpoint} after {attempts} attempt(s)")]
pub(crate) struct NeverAnswered {
    pub(crate) endpoint: String,
    pub(crate) attempts: u32,
    #[source]
    pub(crate) source: HttpError,
}

/// No credentials anywhere, the last place being the machine's metadata service.
#[derive(Debug, thiserror::Error)]
#[error("no credentials: none are configured and the metadata service {endpoint} gave none")]
pub(crate) struct NoMetadataService {
    pub(crate) endpoint: String,
    #[source]
    pub(crate) source: HttpError,
}

/// Neither of the last two sources of Azure's default chain gave credentials.
#[derive(Debug, thiserror::Error)]
#[error("no credentials: no managed identity ({first}) and no Azure CLI login ({second})")]
pub(crate) struct NoIdentity {
    pub(crate) first: String,
    pub(crate) second: String,
}

/// An endpoint that gave no token.
#[derive(Debug, thiserror::Error)]
#[error("no credentials: {endpoint} answered {status}: {cause}")]
pub(crate) struct TokenRefused {
    pub(crate) endpoint: String,
    pub(crate) status: StatusCode,
    pub(crate) cause: String,
}

/// The parts of a store's error answer.
struct Answer {
    code: String,
    message: String,
}

/// What the chain of sources says.
#[derive(Default)]
struct Found {
    answer: Option<Answer>,
    transport: bool,
    missing_directory: bool,
    no_credentials: bool,
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

impl Found {
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
        } else if error.is::<GaveUp>() {
            self.effort = Some(text.clone());
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
        if let Some(never) = error.downcast_ref::<NeverAnswered>() {
            self.transport = true;
            self.cause = never.to_string();
        } else if error.is::<NoMetadataService>()
            || error.is::<NoIdentity>()
            || error.is::<TokenRefused>()
        {
            self.no_credentials = true;
            self.cause = text.clone();
        } else if let Some(identity) = error.downcast_ref::<IdentityError>() {
            match identity {
                IdentityError::NoAnswer { .. } => self.transport = true,
                _ => self.no_credentials = true,
            }
            self.hint = Some(identity.hint());
            self.cause = chain_of(identity);
        } else if let Some(directory) = error.downcast_ref::<MissingDirectory>() {
            self.missing_directory = directory.kind == ErrorKind::MissingBucket;
            self.denied |= directory.kind == ErrorKind::Denied;
            self.hint = Some(directory.hint());
            self.cause = text.clone();
        } else if error.is::<NotPermitted>() {
            self.denied = true;
            self.hint = Some(NotPermitted::HINT);
            self.cause = text.clone();
        }
        if let Some(io) = error.downcast_ref::<io::Error>() {
            self.denied |= io.kind() == io::ErrorKind::PermissionDenied;
        }
        self.note_cause(error, &text);
        self.text.push_str(&text);
        self.text.push('\n');
    }

    fn read_said(&mut self, said: &StoreAnswer) {
        self.denied |= matches!(said.status.as_u16(), 401 | 403);
        if let Some(code) = &said.code {
            self.answer = Some(Answer {
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
        if self.no_credentials || self.hint.is_some() || !last {
            return;
        }
        if self.cause.is_empty() {
            self.cause = text.to_owned();
        } else if self.cause != text {
            self.cause = format!("{}: {text}", self.cause);
        }
    }

    fn kind(&self) -> ErrorKind {
        if self.no_credentials {
            return ErrorKind::Denied;
        }
        if self.missing_directory {
            return ErrorKind::MissingBucket;
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

/// An error's text and that of its innermost source.
fn chain_of(error: &dyn StdError) -> String {
    let (text, inner) = (error.to_string(), innermost(error));
    if text == inner {
        text
    } else {
        format!("{text}: {inner}")
    }
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

fn read_answer(text: &str) -> Option<Answer> {
    if let Some(code) = between(text, "<Code>", "</Code>") {
        let message = between(text, "<Message>", "</Message>").unwrap_or_default();
        // Azure goes on with the request's id and time.
        let first_line = message.lines().next().unwrap_or_default();
        return Some(Answer {
            code: code.into(),
            message: first_line.into(),
        });
    }
    // One key of a bulk deletion: "DeleteFailed ... (code: AccessDenied)".
    let code = between(text, "(code: ", ")")?;
    Some(Answer {
        code: code.into(),
        message: String::new(),
    })
}

pub(crate) fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let rest = &text[text.find(start)? + start.len()..];
    Some(&rest[..rest.find(end)?])
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
