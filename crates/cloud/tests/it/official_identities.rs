//! Who we are for Azure and for Google Cloud, settled by ours and by the clouds' own clients for
//! Python on the same environments and files: azure-identity and google-auth, which Barman uses.
//!
//! Where ours refuses by name what they would pass over or ask (`docs/compatibility.md`), the
//! refusal is the right answer: half of a credential, and kinds that are not built. Byte order
//! marks are not generated: they are passed over here.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use cloud::{
    AzureCredentialKind as CredentialKind, AzureCredentialSource as Azure, AzureSettings,
    Environment, GoogleCredentialSource as Google, GoogleSettings, Location, Provider,
    StoreOptions,
};
use serde_json::{Value, json};
use testkit::Peer;

use super::dice::Dice;

const CASES: usize = 400;

/// Answers of a script to questions, one a line.
fn ask(script: &str, questions: &[Value]) -> Vec<Value> {
    let questions: Vec<String> = questions.iter().map(Value::to_string).collect();
    let python = Peer::python().args(["-c", script]);
    let answers = python.input(questions.join("\n")).run().success().stdout;
    let answers: Vec<Value> = answers
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), questions.len());
    answers
}

/// Panics with the first few differences, and where too few cases mean anything.
fn judge(mut differences: Vec<String>, settled: usize) {
    let count = differences.len();
    differences.truncate(6);
    let text = differences.join("\n=====\n");
    assert!(count == 0, "{count} of {settled}:\n{text}");
    assert!(settled > CASES / 4, "only {settled} cases mean something");
}

const AZURE_VARIABLES: [(&str, &[&str]); 15] = [
    ("AZURE_TENANT_ID", &["tenant"]),
    ("AZURE_CLIENT_ID", &["client"]),
    ("AZURE_CLIENT_SECRET", &["hunter2"]),
    ("AZURE_CLIENT_CERTIFICATE_PATH", &["/nonexistent.pem"]),
    ("AZURE_USERNAME", &["me"]),
    ("AZURE_PASSWORD", &["hunter2"]),
    ("AZURE_FEDERATED_TOKEN_FILE", &["/token"]),
    (
        "AZURE_AUTHORITY_HOST",
        &["https://login.example.org", "login.example.org"],
    ),
    ("IDENTITY_ENDPOINT", &["http://127.0.0.1/token"]),
    ("IDENTITY_HEADER", &["h"]),
    ("IDENTITY_SERVER_THUMBPRINT", &["t"]),
    ("IMDS_ENDPOINT", &["http://127.0.0.1"]),
    ("MSI_ENDPOINT", &["http://127.0.0.1/msi"]),
    ("MSI_SECRET", &["hunter2"]),
    ("AZURE_POD_IDENTITY_AUTHORITY_HOST", &["http://127.0.0.1"]),
];

fn azure_environment(dice: &mut Dice) -> BTreeMap<String, String> {
    let mut environment = BTreeMap::new();
    for (name, values) in AZURE_VARIABLES {
        let is_wanted = match name {
            "AZURE_TENANT_ID" | "AZURE_CLIENT_ID" | "AZURE_AUTHORITY_HOST" => !dice.one_in(3),
            _ => dice.one_in(7),
        };
        if is_wanted {
            environment.insert(name.to_owned(), dice.of(values).to_owned());
        }
    }
    environment
}

/// What ours makes of it, in the words of the other; `Err` is a refusal.
fn our_azure(
    environment: &BTreeMap<String, String>,
    kind: CredentialKind,
) -> Result<&'static str, String> {
    let url = "https://account.blob.core.windows.net/container";
    let location = Location::parse(url, Provider::AzureBlobStorage).unwrap();
    let Location::Azure { account, .. } = location else {
        unreachable!("it is one of Azure's")
    };
    let mut options = StoreOptions::default();
    options.azure.credential = Some(kind);
    let environment: Environment = environment.clone().into_iter().collect();
    let settled = AzureSettings::resolve(&account, &options, &environment);
    let identity_endpoint = environment_has(&environment, "IDENTITY_ENDPOINT");
    match settled.map_err(|error| error.to_string())?.credentials {
        Azure::ClientSecret { .. } => Ok("ClientSecretCredential"),
        Azure::WorkloadIdentity { .. } => Ok("WorkloadIdentityCredential"),
        Azure::ManagedIdentity(_) | Azure::ManagedIdentityOrCli(_) if identity_endpoint => {
            Ok("AppServiceCredential")
        }
        Azure::ManagedIdentity(_) | Azure::ManagedIdentityOrCli(_) => Ok("ImdsCredential"),
        other => panic!("{other:?}"),
    }
}

fn environment_has(environment: &Environment, name: &str) -> bool {
    environment.get(name).is_some()
}

#[test]
fn azure_identities_are_chosen_as_microsofts_client_chooses_them() {
    let mut dice = Dice::new(20_261_129);
    let cases: Vec<_> = (0..CASES)
        .map(|number| (azure_environment(&mut dice), number % 3 == 0))
        .collect();
    let questions: Vec<_> = cases
        .iter()
        .map(|(environment, is_machine)| {
            let kind = if *is_machine {
                "managed-identity"
            } else {
                "default"
            };
            json!({"environment": environment, "kind": kind})
        })
        .collect();
    let answers = ask(include_str!("azure_identity.py"), &questions);
    let (mut differences, mut settled) = (Vec::new(), 0);
    for ((environment, is_machine), theirs) in cases.iter().zip(&answers) {
        let kind = match is_machine {
            true => CredentialKind::ManagedIdentity,
            false => CredentialKind::Default,
        };
        let ours = our_azure(environment, kind);
        let source = theirs["source"].as_str().unwrap_or("error");
        let fits = match &ours {
            Ok(name) => *name == source,
            // Half of something, and what is not built.
            Err(error) if error.contains("incomplete credentials") => true,
            Err(error) if error.contains("not supported yet") => {
                let built = [
                    "ClientSecretCredential",
                    "WorkloadIdentityCredential",
                    "AppServiceCredential",
                    "ImdsCredential",
                ];
                let half = environment.contains_key("AZURE_USERNAME")
                    || environment.contains_key("AZURE_CLIENT_CERTIFICATE_PATH")
                    || environment.contains_key("IDENTITY_SERVER_THUMBPRINT");
                half || !built.contains(&source)
            }
            Err(_) => false,
        };
        settled += usize::from(ours.is_ok());
        if !fits {
            differences.push(format!(
                "ours {ours:?}\ntheirs {theirs}\n{kind:?} {environment:?}"
            ));
        }
    }
    judge(differences, settled);
}

const AUDIENCE: &str = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/\
                        providers/q";
const OF_REGION: &str = "https://sts.{region}.amazonaws.com";

/// A file of credentials, whole or not.
fn google_file(dice: &mut Dice) -> String {
    let kind = dice.of(&[
        "authorized_user",
        "authorized_user",
        "external_account",
        "external_account",
        "impersonated_service_account",
        "external_account_authorized_user",
        "nonsense",
    ]);
    let mut file = json!({"type": kind});
    let pairs = match kind {
        "authorized_user" => vec![
            ("client_id", json!("id")),
            ("client_secret", json!("hunter2")),
            ("refresh_token", json!("hunter3")),
        ],
        _ => vec![
            ("audience", json!(AUDIENCE)),
            (
                "subject_token_type",
                json!("urn:ietf:params:oauth:token-type:jwt"),
            ),
            ("token_url", json!("https://sts.googleapis.com/v1/token")),
            ("credential_source", source(dice)),
        ],
    };
    for (name, value) in pairs {
        // One that is missing makes most files an error.
        if !dice.one_in(14) {
            file[name] = value;
        }
    }
    if dice.one_in(5) {
        file["universe_domain"] = json!("example.org");
    }
    if dice.one_in(20) {
        return "not JSON".to_owned();
    }
    file.to_string()
}

fn source(dice: &mut Dice) -> Value {
    match dice.below(6) {
        0 => json!({"file": "/token", "format": {"type": "json", "subject_token_field_name": "t"}}),
        1 => json!({"url": "http://127.0.0.1/token", "headers": {"Metadata": "true"}}),
        2 => json!({"file": "/token", "format": {"type": "json"}}),
        3 => json!({"executable": {"command": "/bin/x"}}),
        4 => {
            json!({"environment_id": "aws1", "regional_cred_verification_url": OF_REGION})
        }
        _ => json!({"file": "/token"}),
    }
}

fn google_case(
    dice: &mut Dice,
    home: &Path,
) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let (mut environment, mut files) = (BTreeMap::new(), BTreeMap::new());
    environment.insert("HOME".into(), home.display().to_string());
    let name = "application_default_credentials.json";
    if !dice.one_in(3) {
        let path = home.join("adc.json").display().to_string();
        if !dice.one_in(12) {
            files.insert(path.clone(), google_file(dice));
        }
        environment.insert("GOOGLE_APPLICATION_CREDENTIALS".to_owned(), path);
    }
    if dice.one_in(3) {
        let folder = home.join("sdk");
        environment.insert("CLOUDSDK_CONFIG".into(), folder.display().to_string());
        if !dice.one_in(3) {
            files.insert(folder.join(name).display().to_string(), google_file(dice));
        }
    }
    if dice.one_in(2) {
        let path = home.join(".config/gcloud").join(name);
        files.insert(path.display().to_string(), google_file(dice));
    }
    (environment, files)
}

fn our_google(environment: &BTreeMap<String, String>) -> Result<Value, String> {
    let environment: Environment = environment.clone().into_iter().collect();
    let settled = GoogleSettings::gather(&StoreOptions::default(), &environment);
    let settled = settled.map_err(|error| error.to_string())?;
    Ok(match settled.credentials {
        Google::AuthorizedUser {
            client_id,
            token_uri,
            ..
        } => {
            json!({"source": "google.oauth2.credentials.Credentials",
                "client_id": client_id, "token_uri": token_uri})
        }
        Google::ExternalAccount(_) => json!({"source": "google.auth.identity_pool.Credentials"}),
        Google::MetadataServer { .. } => json!({"source": "__main__.Machine"}),
        other => panic!("{other:?}"),
    })
}

#[test]
fn google_identities_are_chosen_as_googles_client_chooses_them() {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path();
    let mut dice = Dice::new(20_261_130);
    let cases: Vec<_> = (0..CASES).map(|_| google_case(&mut dice, home)).collect();
    let questions: Vec<_> = cases
        .iter()
        .map(|(environment, files)| json!({"environment": environment, "files": files}))
        .collect();
    let answers = ask(include_str!("google_identity.py"), &questions);
    let (mut differences, mut settled) = (Vec::new(), 0);
    for ((environment, files), theirs) in cases.iter().zip(&answers) {
        for (path, text) in files {
            fs::create_dir_all(Path::new(path).parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let ours = our_google(environment);
        for path in files.keys() {
            fs::remove_file(path).unwrap();
        }
        let fits = match (&ours, theirs.get("error")) {
            (Ok(ours), None) => {
                let same = |name: &str| ours.get(name).is_none_or(|value| *value == theirs[name]);
                ["source", "client_id", "token_uri"].into_iter().all(same)
            }
            (Ok(_), Some(_)) => false,
            (Err(_), Some(_)) => true,
            // Half of a description, which they would find out when they ask for a token.
            (Err(error), None) => {
                error.contains("not supported yet") || error.contains("is missing")
            }
        };
        settled += usize::from(ours.is_ok());
        if !fits {
            differences.push(format!(
                "ours {ours:?}\ntheirs {theirs}\n{environment:?}\n{files:?}"
            ));
        }
    }
    judge(differences, settled);
}
