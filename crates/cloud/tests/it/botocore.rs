//! Who we are for S3, settled by ours and by botocore's own resolver on the same environments and
//! files: thousands of lines that no person would write, the same in every run.
//!
//! Where the two differ on purpose (`docs/compatibility.md`) nothing is generated: empty variables,
//! `AWS_REGION`, byte order marks.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use cloud::{AddressingStyle, AwsCredentialSource, AwsFiles, S3Settings, Secret};
use cloud::{Environment, StoreOptions};
use serde_json::{Value, json};
use testkit::Peer;

use super::dice::Dice;

const CASES: usize = 600;

struct Case {
    environment: BTreeMap<String, String>,
    profile: Option<String>,
    config: String,
    credentials: String,
}

const PROFILES: [&str; 4] = ["default", "one", "two", "three"];
/// Values of their own for each key, so that it shows where one came from.
const KEYS: [(&str, &[&str]); 16] = [
    (
        "region",
        &["eu-west-1", "us-west-2", "eu-west-1 # mine", "x y"],
    ),
    ("aws_access_key_id", &["AK%", "", "AK% ; no comment"]),
    ("aws_secret_access_key", &["SK%", "S=K:%"]),
    ("aws_session_token", &["T%", ""]),
    ("aws_security_token", &["U%"]),
    ("ca_bundle", &["/ca%.pem"]),
    ("endpoint_url", &["http://of-profile-%:1"]),
    ("services", &["s"]),
    ("role_arn", &["arn:%"]),
    ("source_profile", &["default", "one", "two", "none"]),
    ("credential_source", &["Environment", "EcsContainer"]),
    ("web_identity_token_file", &["/token%"]),
    ("credential_process", &["/bin/x %"]),
    ("ignore_configured_endpoint_urls", &["true", "false"]),
    ("output", &["json\n   and more\n\n   # comment\n   still"]),
    (
        "s3",
        &[
            "\n  addressing_style = path",
            "\n\taddressing_style=virtual\n\n    x = y",
        ],
    ),
];
const VARIABLES: [(&str, &[&str]); 15] = [
    ("AWS_ACCESS_KEY_ID", &["AKENV"]),
    ("AWS_SECRET_ACCESS_KEY", &["SKENV"]),
    ("AWS_SESSION_TOKEN", &["TENV"]),
    ("AWS_SECURITY_TOKEN", &["UENV"]),
    ("AWS_PROFILE", &["default", "one", "none"]),
    ("AWS_DEFAULT_PROFILE", &["two", "three"]),
    ("AWS_DEFAULT_REGION", &["ap-south-1"]),
    ("AWS_CA_BUNDLE", &["/env.pem"]),
    ("AWS_ENDPOINT_URL", &["http://env:1"]),
    ("AWS_ENDPOINT_URL_S3", &["http://env-s3:1"]),
    (
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
        &["true", "TRUE", "no"],
    ),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", &["/token"]),
    ("AWS_ROLE_ARN", &["arn:env"]),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", &["/v2/x"]),
    (
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        &["http://127.0.0.1/x"],
    ),
];

fn generate(dice: &mut Dice) -> Case {
    let mut environment = BTreeMap::new();
    for (name, values) in VARIABLES {
        if dice.one_in(6) {
            environment.insert(name.to_owned(), dice.of(values).to_owned());
        }
    }
    if environment.contains_key("AWS_ACCESS_KEY_ID") && !dice.one_in(8) {
        environment.insert("AWS_SECRET_ACCESS_KEY".into(), "SKENV".into());
    }
    let profile = dice.one_in(3).then(|| dice.of(&PROFILES).to_owned());
    let mut config = String::new();
    for _ in 0..dice.below(5) {
        let name = dice.of(&PROFILES);
        let title = match dice.below(10) {
            0 => format!("[profile \"{name}\"]"),
            1 => format!("[profile  {name}] # mine"),
            2 => format!("[{name}]"),
            3 => "[DEFAULT]".to_owned(),
            4 => format!("[ profile {name}]"),
            5 => format!("[profile {name} x]"),
            6 => "[default]".to_owned(),
            7 => format!("[profiles {name}]"),
            _ => format!("[profile {name}]"),
        };
        section(&mut config, &title, dice);
    }
    if !dice.one_in(4) {
        config.push_str("[services s]\ns3 =\n  endpoint_url = http://of-service:1\n");
    }
    let mut credentials = String::new();
    for _ in 0..dice.below(4) {
        let name = dice.of(&PROFILES);
        section(&mut credentials, &format!("[{name}]"), dice);
    }
    Case {
        environment,
        profile,
        config,
        credentials,
    }
}

fn section(file: &mut String, title: &str, dice: &mut Dice) {
    let end = if dice.one_in(8) { "\r\n" } else { "\n" };
    let add = |file: &mut String, line: &str| {
        file.push_str(line);
        file.push_str(end);
    };
    add(file, title);
    for (key, values) in KEYS {
        // Keys come in pairs more often than not; others are rare, for most pairs are errors.
        let is_wanted = match key {
            "aws_access_key_id" => dice.one_in(2),
            "aws_secret_access_key" => file.contains("AK") || file.contains("ak"),
            "role_arn" | "source_profile" | "credential_source" => dice.one_in(9),
            _ => dice.one_in(5),
        };
        if !is_wanted {
            continue;
        }
        let value = dice.of(values).replace('%', &dice.below(1000).to_string());
        let key = match dice.below(4) {
            0 => key.to_uppercase(),
            _ => key.to_owned(),
        };
        let sign = dice.of(&["=", " = ", ":", " : "]);
        let indent = if dice.one_in(12) { " " } else { "" };
        add(file, &format!("{indent}{key}{sign}{value}"));
        match dice.below(240) {
            0 => add(file, "# comment = x"),
            1 => add(file, "  ; comment"),
            2 => add(file, ""),
            3 => add(file, "   continued"),
            4 => add(file, "no sign"),
            5 => add(file, &format!("{key} = twice")),
            _ => {}
        }
    }
}

/// What we make of it, in the words of the script.
fn ours(case: &Case, home: &Path) -> Value {
    let options = StoreOptions {
        profile: case.profile.clone(),
        ..StoreOptions::default()
    };
    let home = ("HOME".to_owned(), home.display().to_string());
    let variables = case.environment.clone().into_iter().chain([home]);
    let environment: Environment = variables.collect();
    let settled = AwsFiles::read(&environment)
        .map_err(|error| error.to_string())
        .and_then(|files| {
            let settled = S3Settings::resolve(&options, &environment, &files);
            settled.map_err(|error| error.to_string())
        });
    let settings = match settled {
        Ok(settings) => settings,
        Err(error) => return json!({ "error": error }),
    };
    let method = match &settings.identity.credentials {
        AwsCredentialSource::Static { .. } => "keys",
        AwsCredentialSource::WebIdentity { .. } => "assume-role-with-web-identity",
        AwsCredentialSource::Process { .. } => "custom-process",
        AwsCredentialSource::Sso(_) => "sso",
        AwsCredentialSource::AssumedRole { .. } => "assume-role",
        AwsCredentialSource::Container { .. } => "container-role",
        AwsCredentialSource::InstanceMetadata(_) => "iam-role",
    };
    json!({
        "region": settings.identity.region,
        "ca_bundle": settings.identity.ca_bundle,
        "endpoint": settings.endpoint.to_string(),
        "is_virtual": settings.endpoint.is_virtual_hosted("bucket"),
        "method": method,
    })
}

/// The same of botocore's answer, and whether its keys are those of ours.
fn expected(theirs: &Value) -> Value {
    let region = theirs["region"].as_str().unwrap_or("us-east-1");
    let endpoint = theirs["endpoint"].as_str();
    let is_virtual = match theirs["style"].as_str() {
        Some(style) => style.parse::<AddressingStyle>().unwrap() == AddressingStyle::Virtual,
        None => endpoint.is_none(),
    };
    let method = match theirs["method"].as_str() {
        Some("env" | "shared-credentials-file" | "config-file") => "keys",
        method => method.unwrap_or("none"),
    };
    let of_region = format!("https://s3.{region}.amazonaws.com");
    json!({
        "region": region,
        "ca_bundle": theirs["ca_bundle"],
        "endpoint": endpoint.unwrap_or(&of_region),
        "is_virtual": is_virtual,
        "method": method,
    })
}

fn same_keys(case: &Case, home: &Path, theirs: &Value) -> bool {
    let [Some(id), Some(secret), token] = [0, 1, 2].map(|at| theirs["keys"][at].as_str()) else {
        return true;
    };
    let options = StoreOptions {
        profile: case.profile.clone(),
        ..StoreOptions::default()
    };
    let home = ("HOME".to_owned(), home.display().to_string());
    let environment: Environment = case.environment.clone().into_iter().chain([home]).collect();
    let files = AwsFiles::read(&environment).unwrap();
    let settings = S3Settings::resolve(&options, &environment, &files).unwrap();
    settings.identity.credentials
        == AwsCredentialSource::Static {
            access_key_id: id.into(),
            secret_access_key: Secret::from(secret),
            session_token: token.map(Secret::from),
        }
}

/// Values that botocore takes and that can be no header: refused here, by name.
fn is_refused_on_purpose(ours: &Value) -> bool {
    let error = ours["error"].as_str().unwrap_or_default();
    ["line break", "it is empty", "it is not a URL"]
        .iter()
        .any(|cause| error.contains(cause))
}

#[test]
fn environments_and_files_are_settled_as_botocore_settles_them() {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path();
    fs::create_dir(home.join(".aws")).unwrap();
    let mut dice = Dice::new(20_261_128);
    let cases: Vec<Case> = (0..CASES).map(|_| generate(&mut dice)).collect();
    let questions: Vec<String> = cases
        .iter()
        .map(|case| {
            json!({"home": home, "profile": case.profile, "config": case.config,
                "credentials": case.credentials, "environment": case.environment})
            .to_string()
        })
        .collect();
    let python = Peer::python().args(["-c", include_str!("botocore.py")]);
    let answers = python.input(questions.join("\n")).run().success().stdout;
    let answers: Vec<Value> = answers
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), CASES);
    let (mut differences, mut settled) = (Vec::new(), 0);
    for (case, theirs) in cases.iter().zip(&answers) {
        fs::write(home.join(".aws/config"), &case.config).unwrap();
        fs::write(home.join(".aws/credentials"), &case.credentials).unwrap();
        let ours = ours(case, home);
        if theirs.get("error").is_some() && ours.get("error").is_some() {
            continue;
        }
        if is_refused_on_purpose(&ours) {
            continue;
        }
        settled += 1;
        if ours != expected(theirs) || !same_keys(case, home, theirs) {
            differences.push(format!(
                "ours {ours}\ntheirs {theirs}\nprofile {:?} {:?}\n-- config\n{}-- credentials\n{}",
                case.profile, case.environment, case.config, case.credentials
            ));
        }
    }
    let count = differences.len();
    differences.truncate(6);
    assert!(
        count == 0,
        "{count} of {settled}:\n{}",
        differences.join("\n=====\n")
    );
    assert!(settled > CASES / 4, "only {settled} cases mean something");
}
