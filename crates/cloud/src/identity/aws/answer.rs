//! Requests for credentials, and credentials in the answers: JSON and STS's XML.

use std::sync::Arc;

use async_trait::async_trait;
use http::Uri;
use jiff::Timestamp;
use object_store::aws::AwsCredential;
use object_store::client::{HttpClient, HttpError, HttpRequest, HttpResponse};
use serde_json::Value;

use super::error::AwsIdentityError;
use super::temporary::Temporary;
use crate::http::answer::{Asked, StoreAnswer, read_error, with_body};
use crate::http::dialect::{Again, Dialect, Judgement};
use crate::http::judgement;
use crate::http::xml::between;
use crate::secret::{for_address, for_header, for_signing};

/// What the answers of services for credentials mean. A request is signed when it is made, and
/// holds for some minutes.
#[derive(Debug)]
pub(super) struct AwsAnswers;

#[async_trait]
impl Dialect for AwsAnswers {
    async fn prepare(&self, _: &mut HttpRequest, _: Again) -> Result<(), HttpError> {
        Ok(())
    }

    async fn judge(&self, _: &Asked, answer: HttpResponse) -> Result<Judgement, HttpError> {
        if answer.status().is_success() {
            return Ok(Judgement::Answer(answer));
        }
        let (parts, body) = read_error(answer).await;
        let said = StoreAnswer::parse(parts.status, &parts.headers, &body);
        if judgement::is_passing(&said) {
            return Ok(Judgement::Passing(said));
        }
        Ok(Judgement::Answer(with_body(parts, body)))
    }
}

/// Sends a request; the body of a good answer.
pub(super) async fn exchange(
    http: &HttpClient,
    service: &'static str,
    request: &HttpRequest,
) -> Result<String, AwsIdentityError> {
    let answer = http.execute(request.clone()).await;
    read(service, host_of(request), answer).await
}

/// An address that every layer below takes for one; they panic at others.
pub(super) fn address(service: &'static str, text: &str) -> Result<Uri, AwsIdentityError> {
    let url = for_address(text).map(|url| url.as_str().parse());
    match url {
        Ok(Ok(uri)) => Ok(uri),
        Ok(Err(_)) => Err(AwsIdentityError::Address {
            service,
            cause: "it is not the address of a service",
        }),
        Err(cause) => Err(AwsIdentityError::Address { service, cause }),
    }
}

/// Host and port; nothing else that an address may hold is shown.
fn host_of(request: &HttpRequest) -> String {
    let uri = request.uri();
    match (uri.host(), uri.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or_default().to_owned(),
    }
}

async fn read(
    service: &'static str,
    endpoint: String,
    answer: Result<HttpResponse, HttpError>,
) -> Result<String, AwsIdentityError> {
    let no_answer = |source| AwsIdentityError::NoAnswer {
        service,
        endpoint,
        source,
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(source) => return Err(no_answer(source)),
    };
    let status = answer.status();
    let body = answer.into_body().bytes().await.map_err(no_answer)?;
    let body = String::from_utf8_lossy(&body).into_owned();
    if status.is_success() {
        Ok(body)
    } else {
        Err(refusal(service, status.as_str(), &body))
    }
}

/// The words of an error answer: XML of STS, JSON of the others, else its status.
fn refusal(service: &'static str, status: &str, body: &str) -> AwsIdentityError {
    let json: Value = serde_json::from_str(body).unwrap_or_default();
    let in_json = |names: [&str; 2]| {
        let found = names.into_iter().find_map(|name| json.get(name)?.as_str());
        found.map(str::to_owned)
    };
    let in_xml = |start, end| between(body, start, end).map(str::to_owned);
    let code = in_xml("<Code>", "</Code>").or_else(|| in_json(["__type", "code"]));
    let message = in_xml("<Message>", "</Message>").or_else(|| in_json(["message", "Message"]));
    AwsIdentityError::Refused {
        service,
        code: code.unwrap_or_else(|| format!("status {status}")),
        message: message.unwrap_or_else(|| "it does not say why".into()),
    }
}

/// The names of the four values in JSON, which differ from service to service.
pub(super) struct FieldNames {
    pub(super) key_id: &'static str,
    pub(super) secret: &'static str,
    pub(super) token: &'static str,
    pub(super) expires: &'static str,
}

/// Credentials out of a JSON object.
pub(super) fn of_json(
    service: &'static str,
    object: &Value,
    names: &FieldNames,
) -> Result<Temporary, AwsIdentityError> {
    let text = |name: &str| object.get(name)?.as_str().map(str::to_owned);
    let needed = |name: &str| text(name).ok_or_else(|| lacking(service, name));
    let expires = match object.get(names.expires) {
        Some(Value::Number(number)) => number
            .as_i64()
            .and_then(|time| Timestamp::from_millisecond(time).ok()),
        Some(Value::String(time)) => time.parse().ok(),
        _ => None,
    };
    let names = (names.key_id, names.secret, names.token);
    temporary(
        (service, names),
        (needed(names.0)?, needed(names.1)?, text(names.2)),
        expires,
    )
}

/// Credentials out of an answer of STS (AWS, "AWS STS API Reference", `Credentials`).
pub(super) fn of_xml(service: &'static str, text: &str) -> Result<Temporary, AwsIdentityError> {
    let needed = |name: &str| {
        let found = between(text, &format!("<{name}>"), &format!("</{name}>"));
        found
            .map(|value| value.trim().to_owned())
            .ok_or_else(|| lacking(service, name))
    };
    let expires = needed("Expiration")?.parse().ok();
    let (key_id, secret) = (needed("AccessKeyId")?, needed("SecretAccessKey")?);
    let names = ("AccessKeyId", "SecretAccessKey", "SessionToken");
    let token = Some(needed(names.2)?);
    temporary((service, names), (key_id, secret, token), expires)
}

/// What came, if it can go into a request.
fn temporary(
    (service, names): (&'static str, (&str, &str, &str)),
    (key_id, secret, token): (String, String, Option<String>),
    expires: Option<Timestamp>,
) -> Result<Temporary, AwsIdentityError> {
    let bad = |name: &str| {
        let name = name.to_owned();
        move |cause: &str| AwsIdentityError::Answer {
            service,
            cause: format!("{name}: {cause}"),
        }
    };
    let token = token.filter(|token| !token.is_empty());
    let token = token.map(|token| for_header(&token).map(str::to_owned));
    let credential = Arc::new(AwsCredential {
        key_id: for_header(&key_id).map_err(bad(names.0))?.to_owned(),
        secret_key: for_signing(&secret).map_err(bad(names.1))?.to_owned(),
        token: token.transpose().map_err(bad(names.2))?,
    });
    Ok(Temporary {
        credential,
        expires,
    })
}

fn lacking(service: &'static str, name: &str) -> AwsIdentityError {
    AwsIdentityError::Answer {
        service,
        cause: format!("{name} is missing"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read_from_xml_and_both_kinds_of_json() {
        // The example of AWS, "AWS STS API Reference", AssumeRole, shortened.
        let xml = "<AssumeRoleResponse><AssumeRoleResult><Credentials>\
             <AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId>\
             <SecretAccessKey>wJalrXUtnFEMI</SecretAccessKey>\
             <SessionToken> AQoDYXdzEPT= </SessionToken>\
             <Expiration>2019-11-09T13:34:41Z</Expiration></Credentials>";
        let read = of_xml("STS", xml).unwrap();
        assert_eq!(read.credential.key_id, "ASIAIOSFODNN7EXAMPLE");
        assert_eq!(read.credential.token.as_deref(), Some("AQoDYXdzEPT="));
        assert_eq!(read.expires.unwrap().to_string(), "2019-11-09T13:34:41Z");
        let names = FieldNames {
            key_id: "k",
            secret: "s",
            token: "t",
            expires: "e",
        };
        let json = |text: &str| of_json("x", &serde_json::from_str(text).unwrap(), &names);
        let read = json(r#"{"k":"K","s":"S","t":"T","e":1573306481000}"#).unwrap();
        assert_eq!(read.expires.unwrap().to_string(), "2019-11-09T13:34:41Z");
        assert_eq!(json(r#"{"k":"K","s":"S"}"#).unwrap().expires, None);
        let error = json(r#"{"k":"hunter2"}"#).unwrap_err().to_string();
        assert!(
            error.contains("s is missing") && !error.contains("hunter2"),
            "{error}"
        );
    }

    #[test]
    fn a_refusal_is_told_in_the_services_words() {
        for (body, words) in [
            (
                "<Error><Code>AccessDenied</Code><Message>No.</Message></Error>",
                "AccessDenied: No.",
            ),
            (
                r#"{"__type":"UnauthorizedException","message":"Gone."}"#,
                "UnauthorizedException: Gone.",
            ),
            ("<html>", "status 403: it does not say why"),
        ] {
            let said = refusal("STS", "403", body).to_string();
            assert!(said.ends_with(words), "{said}");
        }
    }
}
