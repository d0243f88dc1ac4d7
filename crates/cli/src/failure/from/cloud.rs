//! What a store's address, its options and its connection come to.

use cloud::{ErrorKind, Provider};
use engine::causes;

use super::{kind_of, of_work, sentence, usage_errors};
use crate::failure::{Failure, Kind};

usage_errors!(cloud::BadWord);

impl From<cloud::BadLocation> for Failure {
    fn from(error: cloud::BadLocation) -> Failure {
        let kind = match error {
            cloud::BadLocation::NotYet { .. } => Kind::Usage,
            _ => Kind::Other,
        };
        Failure {
            kind,
            what: error.to_string(),
            advice: sentence(error.hint()),
        }
    }
}

impl From<cloud::BadCustomerKey> for Failure {
    fn from(error: cloud::BadCustomerKey) -> Failure {
        Failure::new(Kind::Other, causes::in_one_line(&error)).with_hint(error.hint())
    }
}

impl From<cloud::OpenError> for Failure {
    fn from(error: cloud::OpenError) -> Failure {
        let advice = sentence(error.hint());
        Failure {
            kind: kind_of(error.kind()),
            what: error.to_string(),
            advice,
        }
    }
}

impl From<cloud::ConnectivityError> for Failure {
    fn from(error: cloud::ConnectivityError) -> Failure {
        let kind = match (error.diagnosis.kind, error.provider) {
            // Only --test asks this question, and a missing bucket is one of its answers.
            (ErrorKind::MissingBucket, _) => Kind::Failed,
            // To Barman every refusal of these two is a store that it cannot connect to.
            (_, Some(Provider::AzureBlobStorage)) => Kind::Unreachable,
            (_, Some(Provider::GoogleCloudStorage)) if error.diagnosis.code.is_some() => {
                Kind::Unreachable
            }
            (kind, _) => kind_of(kind),
        };
        let advice = sentence(error.diagnosis.hint);
        Failure {
            kind,
            what: error.to_string(),
            advice,
        }
    }
}

impl From<cloud::CreateError> for Failure {
    fn from(error: cloud::CreateError) -> Failure {
        match error {
            cloud::CreateError::Open(error) => error.into(),
            cloud::CreateError::Unusable(error) => error.into(),
            cloud::CreateError::Create { .. } => of_work(&error, Kind::Other),
        }
    }
}
