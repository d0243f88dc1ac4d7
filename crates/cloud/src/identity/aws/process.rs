//! `credential_process`: a program of the user's that prints credentials as JSON.
//!
//! AWS, "AWS SDKs and Tools Reference Guide", "Process credential provider". No shell is involved;
//! neither the command nor what it prints is ever shown, for both may hold secrets.

use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio::process::Command;

use super::answer::{FieldNames, of_json};
use super::error::AwsIdentityError;
use super::shell_words;
use super::temporary::{Issuer, Temporary};
use crate::secret::Secret;

const SERVICE: &str = "credential_process";
const PATIENCE: Duration = Duration::from_secs(60);
const NAMES: FieldNames = FieldNames {
    key_id: "AccessKeyId",
    secret: "SecretAccessKey",
    token: "SessionToken",
    expires: "Expiration",
};

/// A program and where it was set.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) command: Secret,
    pub(super) place: String,
}

#[async_trait]
impl Issuer for Process {
    async fn issue(&self) -> Result<Temporary, AwsIdentityError> {
        let failed = |cause: String| AwsIdentityError::Process {
            place: self.place.clone(),
            cause,
        };
        let words = shell_words::split(self.command.reveal());
        let words = words.ok_or_else(|| failed("has a quote without its other half".into()))?;
        let (program, arguments) = words
            .split_first()
            .ok_or_else(|| failed("is empty".into()))?;
        let output = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(PATIENCE, output).await;
        let output = output.map_err(|_| failed(format!("did not end within {PATIENCE:?}")))?;
        let output = output.map_err(|error| failed(format!("cannot be started: {error}")))?;
        if !output.status.success() {
            return Err(failed(format!("failed: {}", output.status)));
        }
        let json: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        if json["Version"] != 1 {
            return Err(failed("printed no JSON with Version 1".into()));
        }
        of_json(SERVICE, &json, &NAMES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_the_program_prints_is_taken_and_what_fails_is_told_without_it() {
        let issue = async |command: &str| {
            let place = "config:3".to_owned();
            let command = command.into();
            Process { command, place }.issue().await
        };
        let good = r#"printf '{"Version":1,"AccessKeyId":"K","SecretAccessKey":"hunter2"}'"#;
        assert_eq!(issue(good).await.unwrap().credential.key_id, "K");
        for (command, cause) in [
            ("/nonexistent/x", "cannot be started"),
            ("sh -c 'echo hunter2; exit 3'", "exit status: 3"),
            ("echo hunter2", "no JSON with Version 1"),
            ("printf '{\"Version\":1}'", "AccessKeyId is missing"),
        ] {
            let error = issue(command).await.unwrap_err().to_string();
            assert!(
                error.contains(cause) && !error.contains("hunter2"),
                "{error}"
            );
        }
    }
}
