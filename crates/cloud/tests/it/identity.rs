//! Credentials from services on loopback that answer as Amazon's do, used on a real SeaweedFS.
//!
//! Each good answer holds the keys that SeaweedFS knows, so a bucket that can be listed proves
//! that they were asked for, understood and used.

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cloud::{ErrorKind, Location, Provider, StoreOptions, check_connectivity, open};
use tempfile::TempDir;

use super::fake_endpoint::{Answer, FakeEndpoint, play, reply, serve};
use super::seaweed::{ACCESS_KEY, BUCKET, SECRET_KEY, server};

/// A home directory with AWS's files in it.
struct Home {
    directory: TempDir,
    variables: Vec<(String, String)>,
}

impl Home {
    fn new(config: &str) -> Home {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join(".aws/sso/cache")).unwrap();
        fs::write(directory.path().join(".aws/config"), config).unwrap();
        let home = directory.path().display().to_string();
        let no_machine = ("AWS_EC2_METADATA_DISABLED".to_owned(), "true".to_owned());
        Home {
            directory,
            variables: vec![("HOME".into(), home), no_machine],
        }
    }

    fn with(mut self, name: &str, value: impl Into<String>) -> Home {
        self.variables.push((name.into(), value.into()));
        self
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Lists the bucket; the kind, words and hint of what went wrong.
    async fn list(&self) -> Result<(), (ErrorKind, String, String)> {
        let location = Location::parse(&format!("s3://{BUCKET}"), Provider::AwsS3).unwrap();
        let options = StoreOptions {
            endpoint_url: Some(server().http.clone()),
            ..StoreOptions::default()
        };
        let environment = self.variables.iter().cloned().collect();
        let bucket = open(&location, &options, &environment).await;
        let bucket = bucket.map_err(|error| (error.kind(), error.to_string(), String::new()))?;
        check_connectivity(&bucket).await.map_err(|error| {
            let hint = error.diagnosis.hint.unwrap_or_default().to_owned();
            (error.diagnosis.kind, error.to_string(), hint)
        })
    }
}

async fn answering(status: &'static str, body: String) -> FakeEndpoint {
    serve(vec![Answer {
        delay: Duration::ZERO,
        status,
        body: body.leak(),
    }])
    .await
}

fn json(token_name: &str) -> String {
    format!(
        r#"{{"AccessKeyId":"{ACCESS_KEY}","SecretAccessKey":"{SECRET_KEY}",
        "{token_name}":"","Expiration":"2100-01-01T00:00:00Z","Version":1}}"#
    )
}

/// As STS answers, but without a token, which SeaweedFS would want to look into.
fn xml() -> String {
    format!(
        "<AssumeRoleResponse><AssumeRoleResult><Credentials>\
         <AccessKeyId>{ACCESS_KEY}</AccessKeyId><SecretAccessKey>{SECRET_KEY}</SecretAccessKey>\
         <SessionToken></SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration>\
         </Credentials></AssumeRoleResult></AssumeRoleResponse>"
    )
}

const ROLE: &str = "[default]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = base\n\
                    [profile base]\naws_access_key_id = A\naws_secret_access_key = hunter2\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_assumed_once_and_used() {
    let sts = answering("200 OK", xml()).await;
    let home = Home::new(ROLE).with("AWS_ENDPOINT_URL_STS", &sts.url);
    home.list().await.unwrap();
    assert_eq!(sts.requests.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_file_is_exchanged_for_a_role() {
    let sts = answering("200 OK", xml()).await;
    let home = Home::new("").with("AWS_ENDPOINT_URL_STS", &sts.url);
    let token = home.path().join("token");
    fs::write(&token, "ey.hunter2.x\n").unwrap();
    let token = token.display().to_string();
    let home = home
        .with("AWS_ROLE_ARN", "arn:aws:iam::1:role/x")
        .with("AWS_WEB_IDENTITY_TOKEN_FILE", &token);
    home.list().await.unwrap();
    fs::remove_file(&token).unwrap();
    let (kind, words, hint) = home.list().await.unwrap_err();
    assert_eq!(kind, ErrorKind::Denied);
    assert!(words.contains(&token), "{words}");
    assert!(hint.contains("AWS_WEB_IDENTITY_TOKEN_FILE"), "{hint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_gets_its_keys_from_its_agent() {
    let agent = answering("200 OK", json("Token")).await;
    let url = format!("{}/v1/credentials", agent.url);
    let home = Home::new("").with("AWS_CONTAINER_CREDENTIALS_FULL_URI", url);
    home.list().await.unwrap();
    let home = home.with("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/nonexistent/t");
    let (kind, words, _) = home.list().await.unwrap_err();
    assert_eq!(kind, ErrorKind::Denied);
    assert!(words.contains("/nonexistent/t"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_prints_the_keys() {
    let home = Home::new("");
    let file = home.path().join("keys.json");
    fs::write(&file, json("SessionToken")).unwrap();
    let config = format!("[default]\ncredential_process = cat {}\n", file.display());
    fs::write(home.path().join(".aws/config"), config).unwrap();
    home.list().await.unwrap();
    fs::remove_file(&file).unwrap();
    let (kind, words, hint) = home.list().await.unwrap_err();
    assert_eq!(kind, ErrorKind::Denied);
    assert!(words.contains(".aws/config:2"), "{words}");
    assert!(hint.contains("by hand"), "{hint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_used_while_it_holds() {
    let portal = format!(
        r#"{{"roleCredentials":{{"accessKeyId":"{ACCESS_KEY}","secretAccessKey":"{SECRET_KEY}",
        "sessionToken":"","expiration":4102444800000}}}}"#
    );
    let portal = answering("200 OK", portal).await;
    let home = Home::new(
        "[default]\nsso_session = s\nsso_account_id = 1\nsso_role_name = R\n\
         [sso-session s]\nsso_region = eu-west-1\nsso_start_url = https://u\n",
    );
    let home = home.with("AWS_ENDPOINT_URL_SSO", &portal.url);
    let (_, words, hint) = home.list().await.unwrap_err();
    assert!(words.contains("nobody is logged in"), "{words}");
    assert!(hint.contains("aws sso login"), "{hint}");
    // sha1sum of "s", as the AWS command line names the file.
    let name = "a0f1490a20d0211c997b44bc357e1972deab8ae3.json";
    let cached = home.path().join(".aws/sso/cache").join(name);
    for (expires, fine) in [
        ("2100-01-01T00:00:00Z", true),
        ("2001-01-01T00:00:00Z", false),
    ] {
        let token = format!(r#"{{"accessToken":"hunter2","expiresAt":"{expires}"}}"#);
        fs::write(&cached, token).unwrap();
        let listed = home.list().await;
        assert_eq!(listed.is_ok(), fine, "{listed:?}");
        if let Err((kind, words, _)) = listed {
            assert_eq!(kind, ErrorKind::Denied);
            assert!(
                words.contains("ended at 2001") && !words.contains("hunter2"),
                "{words}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_of_the_token_service_has_its_hint() {
    for (status, body, kind, word, hinted) in [
        (
            "403 Forbidden",
            "<ErrorResponse><Error><Code>AccessDenied</Code><Message>Not you.</Message>",
            ErrorKind::Denied,
            "STS refuses: AccessDenied: Not you.",
            "trust policy",
        ),
        (
            "400 Bad Request",
            "<Error><Code>ExpiredTokenException</Code><Message>Old.</Message></Error>",
            ErrorKind::Denied,
            "ExpiredTokenException",
            "write a new one",
        ),
        (
            "200 OK",
            "<html>Welcome to the hotel</html>",
            ErrorKind::Denied,
            "Expiration is missing",
            "something else may listen",
        ),
    ] {
        let sts = answering(status, body.to_owned()).await;
        let home = Home::new(ROLE).with("AWS_ENDPOINT_URL_STS", &sts.url);
        let (found, words, hint) = home.list().await.unwrap_err();
        assert_eq!(found, kind, "{words}");
        assert!(
            words.contains(word) && !words.contains("hunter2"),
            "{words}"
        );
        assert!(hint.contains(hinted), "{hint}");
    }
    let nobody = Home::new(ROLE).with("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1");
    let (kind, words, hint) = nobody.list().await.unwrap_err();
    assert_eq!(kind, ErrorKind::Unreachable, "{words}");
    assert!(words.contains("127.0.0.1:1"), "{words}");
    assert!(hint.contains("AWS_ENDPOINT_URL_STS"), "{hint}");
}

/// A machine whose metadata service answers so, in turn, in `seconds` or not at all.
async fn on_a_machine(
    answers: &[(&'static str, u64, String)],
    seconds: &str,
) -> (Home, FakeEndpoint) {
    let answers = answers.iter().map(|(status, delay, body)| Answer {
        delay: Duration::from_secs(*delay),
        status,
        body: body.clone().leak(),
    });
    let service = serve(answers.collect()).await;
    let home = Home::new("")
        .with("AWS_EC2_METADATA_DISABLED", "false")
        .with("AWS_METADATA_SERVICE_TIMEOUT", seconds)
        .with("AWS_EC2_METADATA_SERVICE_ENDPOINT", &service.url);
    (home, service)
}

fn answer(status: &'static str, body: &str) -> (&'static str, u64, String) {
    (status, 0, body.to_owned())
}

// Reported as teleport#39363 and wal-g#2369: agents that know no tokens, and containers whose
// answers do not come through.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_gives_no_token_is_asked_without_one() {
    let (role, keys) = (answer("200 OK", "a-role"), answer("200 OK", &json("Token")));
    for status in [
        "200 OK",
        "403 Forbidden",
        "404 Not Found",
        "405 Not Allowed",
    ] {
        let first = answer(status, "a-token");
        let (home, service) = on_a_machine(&[first, role.clone(), keys.clone()], "60").await;
        home.list().await.unwrap();
        assert_eq!(service.requests.load(Ordering::SeqCst), 3, "{status}");
    }
    let hanging = ("200 OK", 600, "a-token".to_owned());
    let (home, _service) = on_a_machine(&[hanging, role.clone(), keys.clone()], "4").await;
    home.list().await.unwrap();
    // A passing fault of the service is waited out.
    let fault = answer("500 Internal Server Error", "");
    let first = answer("200 OK", "a-token");
    let (home, _service) = on_a_machine(&[first, fault, role, keys], "60").await;
    home.list().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_gives_no_credentials_is_named_with_its_answer() {
    let denied = answer("403 Forbidden", "denied");
    let failed = r#"{"Code":"AssumeRoleUnauthorizedAccess","Message":"not trusted"}"#;
    let ok = |body: &str| answer("200 OK", body);
    for (answers, words) in [
        (vec![denied.clone()], "answered 403"),
        (
            vec![ok("t"), answer("404 Not Found", "")],
            "this machine has no role",
        ),
        (vec![ok("t"), ok("")], "answered with nothing"),
        (
            vec![ok("t"), ok("r"), ok(failed)],
            "AssumeRoleUnauthorizedAccess: not trusted",
        ),
        (
            vec![ok("t"), ok("r"), ok("hunter2")],
            "AccessKeyId is missing",
        ),
        (vec![answer("400 Bad Request", "")], "answered 400"),
    ] {
        let (home, service) = on_a_machine(&answers, "60").await;
        let (kind, said, _) = home.list().await.unwrap_err();
        assert_eq!(kind, ErrorKind::Denied, "{said}");
        assert!(
            said.contains("no credentials:") && said.contains(words),
            "{said}"
        );
        assert!(
            said.contains("metadata service") && !said.contains("hunter2"),
            "{said}"
        );
        let host = service.url.strip_prefix("http://").unwrap();
        assert!(said.contains(host) || words.contains("missing"), "{said}");
    }
    let (home, _service) = on_a_machine(&[denied], "60").await;
    let (_, said, _) = home
        .with("AWS_EC2_METADATA_V1_DISABLED", "true")
        .list()
        .await
        .unwrap_err();
    assert!(said.contains("must not be used without one"), "{said}");
}

// cloudnative-pg#972: a secret that was made from a file has the file's last line break.
#[tokio::test(flavor = "multi_thread")]
async fn line_breaks_around_a_key_do_not_count_and_those_inside_are_refused() {
    let keys = |id: &str, secret: &str| {
        Home::new("")
            .with("AWS_ACCESS_KEY_ID", id)
            .with("AWS_SECRET_ACCESS_KEY", secret)
    };
    let home = keys(&format!("{ACCESS_KEY}\n"), &format!("{SECRET_KEY}\r\n"));
    home.list().await.unwrap();
    let inside = json("SessionToken").replace(ACCESS_KEY, "AK\\nIA");
    let program = |home: Home| {
        fs::write(home.path().join("keys"), &inside).unwrap();
        let config = format!(
            "[default]\ncredential_process = cat {}/keys\n",
            home.path().display()
        );
        fs::write(home.path().join(".aws/config"), config).unwrap();
        home
    };
    let (kind, said, _) = program(Home::new("")).list().await.unwrap_err();
    assert_eq!(kind, ErrorKind::Denied);
    assert!(said.contains("AccessKeyId: it has a line break"), "{said}");
}

// aws-cli#9075: files of another user, or a home directory of one, beside keys that suffice.
#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_read_do_not_stop_who_needs_none() {
    let home = Home::new("");
    fs::create_dir(home.path().join(".aws/credentials")).unwrap();
    let (_, said, _) = home.list().await.unwrap_err();
    let unread = "/.aws/credentials: it is not a plain file";
    assert!(
        said.contains("none are configured (cannot read") && said.contains(unread),
        "{said}"
    );
    home.with("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .with("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .list()
        .await
        .unwrap();
}

// The token service of a region, or the agent of a pod, that is away for a moment: three tries
// within a second are no patience.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_service_that_is_away_for_a_while_is_waited_for() {
    let throttled = "<ErrorResponse><Error><Code>Throttling</Code><Message>Rate exceeded</Message>";
    let idp = "<ErrorResponse><Error><Code>IDPCommunicationError</Code><Message>x</Message>";
    for (status, body) in [
        ("503 Service Unavailable", ""),
        ("429 Too Many Requests", "{}"),
        ("400 Bad Request", throttled),
        ("400 Bad Request", idp),
    ] {
        let sts = play(move |number, _| match number {
            0..6 => reply(status, body),
            _ => reply("200 OK", xml()),
        })
        .await;
        let home = Home::new(ROLE).with("AWS_ENDPOINT_URL_STS", &sts.url);
        home.list().await.unwrap();
        assert_eq!(sts.requests().len(), 7, "{status}");
    }
}
