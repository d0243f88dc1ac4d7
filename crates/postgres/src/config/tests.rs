//! Precedence, defaults and refusals, on environments and files made for the test.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::values::SslMode;
use super::*;

fn environment() -> Environment {
    Environment::empty().with_user("osuser")
}

fn config(text: &str) -> Config {
    Config::from_conninfo(text, &environment()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refusal(text: &str) -> String {
    match Config::from_conninfo(text, &environment()) {
        Ok(config) => panic!("{text} gave {config:?}"),
        Err(error) => error.to_string(),
    }
}

fn password(config: &Config) -> Option<&str> {
    config.hosts[0].1.as_ref().map(|secret| secret.0.as_str())
}

#[test]
fn an_empty_string_means_the_defaults() {
    let config = config("");
    let expected = "host=/var/run/postgresql,/tmp port=5432,5432 user=osuser dbname=osuser";
    assert_eq!(config.to_string(), expected);
    assert_eq!(config.connect_timeout, Some(DEFAULT_CONNECT_TIMEOUT));
    assert_eq!(config.tls.mode, SslMode::Prefer);
}

#[test]
fn the_database_defaults_to_the_user_that_was_given() {
    assert_eq!(config("user=anna").dbname(), "anna");
    assert_eq!(config("user=anna dbname=''").dbname(), "anna");
}

#[test]
fn without_any_user_there_is_no_connection() {
    let error = Config::from_conninfo("host=db", &Environment::empty()).unwrap_err();
    assert!(matches!(error, ConfigError::NoUser));
}

#[test]
fn explicit_beats_service_beats_environment_beats_default() {
    let home = tempfile::tempdir().unwrap();
    fs::write(
        home.path().join(".pg_service.conf"),
        "[main]\nhost=service\nport=2\nuser=service\n",
    )
    .unwrap();
    let environment = environment()
        .with_home(home.path())
        .with_variable("PGSERVICE", "main")
        .with_variable("PGHOST", "variable")
        .with_variable("PGPORT", "3")
        .with_variable("PGDATABASE", "variable");
    let config = Config::from_conninfo("host=explicit", &environment).unwrap();
    assert_eq!(
        config.to_string(),
        "host=explicit port=2 user=service dbname=variable"
    );
}

#[test]
fn an_explicit_empty_value_hides_the_environment() {
    let environment = environment().with_variable("PGHOST", "variable");
    let config = Config::from_conninfo("host=''", &environment).unwrap();
    assert_eq!(config.hosts().count(), 2);
}

#[test]
fn a_service_is_looked_for_in_the_users_file_then_in_the_systems() {
    let (home, system) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(home.path().join(".pg_service.conf"), "[a]\nhost=users\n").unwrap();
    fs::write(
        system.path().join("pg_service.conf"),
        "[a]\nhost=no\n[b]\nhost=systems\n",
    )
    .unwrap();
    let environment = environment()
        .with_home(home.path())
        .with_variable("PGSYSCONFDIR", system.path().to_str().unwrap());
    for (service, expected) in [("a", "users"), ("b", "systems")] {
        let text = format!("service={service}");
        let config = Config::from_conninfo(&text, &environment).unwrap();
        assert!(
            config.to_string().starts_with(&format!("host={expected} ")),
            "{config}"
        );
    }
    let error = Config::from_conninfo("service=c", &environment).unwrap_err();
    assert_eq!(
        error.to_string(),
        "service \"c\" is defined in no service file"
    );
    let environment = environment.with_variable("PGSERVICEFILE", "/nonexistent");
    let error = Config::from_conninfo("service=a", &environment).unwrap_err();
    assert_eq!(
        error.to_string(),
        "service file /nonexistent does not exist"
    );
}

#[test]
fn lists_of_hosts_go_with_one_port_or_as_many() {
    let table = [
        ("host=a,b port=1,2", "host=a,b port=1,2"),
        ("host=a,b port=7", "host=a,b port=7,7"),
        ("host=a,b port=,2", "host=a,b port=5432,2"),
        ("host=a,b", "host=a,b port=5432,5432"),
        ("host=/run/pg,b", "host=/run/pg,b port=5432,5432"),
        ("hostaddr=::1", "host=::1 port=5432"),
        ("host=a hostaddr=127.0.0.1", "host=a port=5432"),
        (
            "host=,b",
            "host=/var/run/postgresql,/tmp,b port=5432,5432,5432",
        ),
    ];
    for (text, expected) in table {
        let shown = config(text).to_string();
        assert_eq!(
            shown,
            format!("{expected} user=osuser dbname=osuser"),
            "{text}"
        );
    }
}

#[test]
fn a_setting_that_cannot_be_honoured_is_refused_by_name() {
    let table = [
        ("host=a,b port=1,2,3", "3 ports do not match 2 hosts"),
        (
            "host=a,b hostaddr=::1",
            "2 hosts do not match 1 host addresses",
        ),
        ("port=0", "invalid port, expected a number from 1 to 65535"),
        (
            "port=65536",
            "invalid port, expected a number from 1 to 65535",
        ),
        (
            "hostaddr=db",
            "invalid value \"db\" for hostaddr, expected a numeric IPv4 or IPv6 address",
        ),
        (
            "gssencmode=require",
            "gssencmode=require (from the connection string) is not supported",
        ),
        (
            "sslcrl=/x",
            "sslcrl=/x (from the connection string) is not supported",
        ),
        (
            "scram_client_key=hush",
            "scram_client_key (from the connection string) is not supported",
        ),
        (
            "require_auth=md5",
            "require_auth=md5 (from the connection string) is not supported",
        ),
        (
            "channel_binding=yes",
            "invalid value \"yes\" for channel_binding, expected disable, prefer, require",
        ),
        (
            "connect_timeout=soon",
            "invalid value \"soon\" for connect_timeout, expected an integer",
        ),
        (
            "sslrootcert=system sslmode=require",
            "sslrootcert=system needs sslmode=verify-full",
        ),
        (
            "sslnegotiation=direct",
            "sslnegotiation=direct needs sslmode=require or stronger",
        ),
        (
            "ssl_max_protocol_version=TLSv1.1",
            "ssl_max_protocol_version allows neither TLS 1.2 nor 1.3",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(refusal(text), expected, "{text}");
    }
}

#[test]
fn a_refused_variable_is_named() {
    let environment = environment().with_variable("PGSSLCRL", "/x");
    let error = Config::from_conninfo("", &environment)
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "sslcrl=/x (from the environment variable PGSSLCRL) is not supported"
    );
}

#[test]
fn harmless_settings_are_accepted() {
    config("gssencmode=prefer krbsrvname=x sslcompression=1 client_encoding=LATIN1");
    config("max_protocol_version=latest load_balance_hosts=disable sslcrl='' sslpassword=x");
}

#[test]
fn timeouts_follow_libpq_except_that_there_is_a_default() {
    let seconds = |text: &str| config(text).connect_timeout.map(|limit| limit.as_secs());
    assert_eq!(seconds("connect_timeout=1"), Some(2));
    assert_eq!(seconds("connect_timeout=10"), Some(10));
    assert_eq!(seconds("connect_timeout=0"), None);
    assert_eq!(seconds("connect_timeout=-1"), None);
    assert_eq!(seconds("connect_timeout=''"), Some(30));
}

#[test]
fn system_roots_mean_full_verification() {
    assert_eq!(config("sslrootcert=system").tls.mode, SslMode::VerifyFull);
    let old = environment().with_variable("PGREQUIRESSL", "1");
    assert_eq!(
        Config::from_conninfo("", &old).unwrap().tls.mode,
        SslMode::Require
    );
}

#[test]
fn the_startup_packet_holds_what_the_user_set_and_nothing_more() {
    let environment = environment().with_variable("PGDATESTYLE", "German");
    let config = Config::from_conninfo("options='-c a=b'", &environment).unwrap();
    let sent: Vec<_> = config.startup_parameters().collect();
    let expected = [
        ("user", "osuser"),
        ("database", "osuser"),
        ("client_encoding", "UTF8"),
        ("options", "-c a=b"),
        ("datestyle", "German"),
    ];
    assert_eq!(sent, expected);
}

#[test]
fn a_passfile_serves_each_host_its_own_password() {
    let home = tempfile::tempdir().unwrap();
    let passfile = home.path().join(".pgpass");
    let text = "a:5432:*:*:for a\nb:5433:*:*:for b\nlocalhost:*:*:*:for sockets\n";
    fs::write(&passfile, text).unwrap();
    fs::set_permissions(&passfile, fs::Permissions::from_mode(0o600)).unwrap();
    let environment = environment().with_home(home.path());
    let resolve = |text| Config::from_conninfo(text, &environment).unwrap();
    let config = resolve("host=a,b port=5432,5433");
    let passwords: Vec<_> = config
        .hosts
        .iter()
        .map(|(_, secret)| secret.clone())
        .collect();
    assert_eq!(
        passwords,
        [
            Some(Password("for a".into())),
            Some(Password("for b".into()))
        ]
    );
    assert_eq!(password(&resolve("")), Some("for sockets"));
    assert_eq!(password(&resolve("host=/run/other")), None);
    assert_eq!(password(&resolve("host=a password=mine")), Some("mine"));
}

#[test]
fn a_passfile_that_others_can_read_is_ignored_with_a_reason() {
    let home = tempfile::tempdir().unwrap();
    let passfile = home.path().join("pass");
    fs::write(&passfile, "*:*:*:*:secret").unwrap();
    fs::set_permissions(&passfile, fs::Permissions::from_mode(0o640)).unwrap();
    let environment = environment().with_variable("PGPASSFILE", passfile.to_str().unwrap());
    let config = Config::from_conninfo("", &environment).unwrap();
    assert_eq!(password(&config), None);
    assert!(
        config
            .passfile_problem
            .as_ref()
            .unwrap()
            .contains("chmod 600")
    );
}

#[test]
fn a_config_is_shown_without_its_password() {
    let config = config("host=db password=hush");
    assert_eq!(password(&config), Some("hush"));
    assert!(!format!("{config} {config:?}").contains("hush"));
}

#[test]
fn a_variable_that_is_no_text_is_refused_by_name_where_it_would_count() {
    let environment = Environment::empty()
        .with_user("me")
        .with_bytes("PGPASSWORD");
    let error = Config::from_conninfo("host=db", &environment).unwrap_err();
    assert_eq!(error.to_string(), "the value of PGPASSWORD is not UTF-8");
    assert!(Config::from_conninfo("host=db password=x", &environment).is_ok());
    let of_others = Environment::empty().with_user("me").with_bytes("PGDATA");
    assert!(Config::from_conninfo("host=db", &of_others).is_ok());
}
