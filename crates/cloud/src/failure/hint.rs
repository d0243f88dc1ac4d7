//! What a user can do about a failure of a store: one sentence for each cause we know.

use super::kind::ErrorKind;

/// The hint for a failure: by the store's code, else by words in the errors, else by kind.
pub(crate) fn for_failure(kind: ErrorKind, code: Option<&str>, text: &str) -> Option<&'static str> {
    code.and_then(for_code)
        .or_else(|| for_text(text))
        .or_else(|| for_kind(kind))
}

fn for_code(code: &str) -> Option<&'static str> {
    Some(match code {
        "InvalidAccessKeyId" => {
            "The access key is not known to this store: check the profile and the endpoint."
        }
        "SignatureDoesNotMatch" => {
            "The secret key does not belong to the access key, or a proxy changes the requests."
        }
        "RequestTimeTooSkewed" => "Set this machine's clock: S3 allows 15 minutes of difference.",
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => {
            "The session token has expired: get new temporary credentials."
        }
        "InvalidToken" => "The session token does not belong to the access key.",
        "AccessDenied" | "AllAccessDisabled" | "UnauthorizedAccess" => {
            "The keys are known but may not do this: see the policies of the bucket and the user."
        }
        "AuthorizationHeaderMalformed"
        | "PermanentRedirect"
        | "TemporaryRedirect"
        | "IllegalLocationConstraintException" => {
            "The bucket is in another region: set AWS_REGION or the profile's region."
        }
        "SecondLevelDomainForbidden" => {
            "This store wants the bucket in the host name: give --addressing-style virtual."
        }
        "NoSuchBucket" => {
            "Create the bucket first, or check its name, the region and the endpoint."
        }
        "ContainerNotFound" => "Create the container first, or check its name and the account.",
        "AuthenticationFailed" | "NoAuthenticationInformation" | "InvalidAuthenticationInfo" => {
            "Check the account key or the shared access signature, the account's name, and this \
             machine's clock."
        }
        "AuthorizationFailure" => {
            "Check the account key or the shared access signature, and the account's firewall."
        }
        "AuthorizationPermissionMismatch"
        | "AuthorizationResourceTypeMismatch"
        | "AuthorizationServiceMismatch"
        | "InsufficientAccountPermissions" => {
            "The identity or signature is known but may not do this: see its roles or permissions."
        }
        "KeyBasedAuthenticationNotPermitted" => {
            "The account takes no keys: give --azure-credential default, or another kind."
        }
        "AuthenticationRequired" => {
            "Set GOOGLE_APPLICATION_CREDENTIALS, or give this machine a service account."
        }
        "SlowDown" | "ServerBusy" | "ServiceUnavailable" | "InternalError" => {
            "The store is overloaded or has trouble: try again later."
        }
        _ => return None,
    })
}

fn for_text(text: &str) -> Option<&'static str> {
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if says(&["no credentials:"]) && says(&["MicrosoftAzure"]) {
        return Some(
            "Set AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN, \
             or log in with az login.",
        );
    }
    if says(&["no credentials:"]) && says(&["GCS"]) {
        return Some(
            "Set GOOGLE_APPLICATION_CREDENTIALS to a file of credentials that are still good.",
        );
    }
    if says(&["'az account get-access-token' command failed"]) {
        return Some("Log in with az login, as the user that this command runs as.");
    }
    if says(&["no credentials:"]) {
        return Some("Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or choose a profile.");
    }
    if says(&[
        "invalid peer certificate",
        "UnknownIssuer",
        "CaUsedAsEndEntity",
    ]) {
        return Some(if says(&["MicrosoftAzure", "GCS"]) {
            "For a private certificate authority set REQUESTS_CA_BUNDLE to its PEM file."
        } else {
            "For a private certificate authority set AWS_CA_BUNDLE to its PEM file."
        });
    }
    if says(&["No CA certificates"]) {
        return Some(
            "Install the system's authorities (the package ca-certificates), or set AWS_CA_BUNDLE \
             or REQUESTS_CA_BUNDLE to a PEM file.",
        );
    }
    if says(&["InvalidContentType", "corrupt message"]) {
        return Some("The endpoint does not speak TLS there: use http:// or another port.");
    }
    if says(&["dns error", "failed to lookup address"]) {
        return Some("Check the endpoint's host name, and whether the addressing style suits it.");
    }
    if says(&["redirect without LOCATION"]) {
        return Some("The bucket is in another region: set AWS_REGION or the profile's region.");
    }
    if says(&["a redirect to "]) {
        return Some(
            "Credentials do not follow redirects: if that is the store, give its address as the \
             endpoint.",
        );
    }
    if says(&["No space left on device", "no storage space", "os error 28"]) {
        return Some("Free space on that file system, or use another directory.");
    }
    None
}

fn for_kind(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::Unreachable => Some("Check the endpoint, the network, and proxy variables."),
        ErrorKind::MissingBucket => Some("Create the directory first: mkdir -p."),
        ErrorKind::Denied => Some("Check the credentials and their permissions."),
        ErrorKind::NotFound | ErrorKind::Other => None,
    }
}
