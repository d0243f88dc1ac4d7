//! Whole configurations, against what Barman 3.20.1 makes of them.

use std::collections::BTreeMap;

use super::complaints::{BadConfiguration, Complaint};
use super::faults::Outside;
use super::ini::ConfigText;
use super::sections::{BarmanConfig, configure};
use super::server::{BarmanServer, ServerStanding, collisions, servers};
use super::values::OptionValue;

fn text(file: &str, text: &str) -> ConfigText {
    ConfigText {
        file: file.to_owned(),
        text: text.to_owned(),
    }
}

fn read(main: &str, others: &[&str]) -> BarmanConfig {
    let others: Vec<_> = others.iter().map(|it| text("more.conf", it)).collect();
    configure(&text("barman.conf", main), &others).unwrap()
}

fn server(configuration: &BarmanConfig, key: &str) -> OptionValue {
    configuration.servers["main"].value(key).clone()
}

fn words(text: &str) -> OptionValue {
    OptionValue::Text(text.to_owned())
}

const HOME: &str = "[barman]\nbarman_home = /var/lib/barman\ncompression = gzip\n";

#[test]
fn a_server_has_its_own_options_then_those_of_barman_then_the_defaults() {
    let configuration = read(
        HOME,
        &[
            "[main]\nconninfo = host=pg user=barman\narchiver = on\n\
             wals_directory = /srv/%(name)s/w\n",
            "[main]\narchiver = off\n",
        ],
    );
    let value = |key| server(&configuration, key);
    assert_eq!(value("compression"), words("gzip"));
    assert_eq!(value("archiver"), OptionValue::Boolean(false));
    assert_eq!(value("backup_directory"), words("/var/lib/barman/main"));
    assert_eq!(
        value("basebackups_directory"),
        words("/var/lib/barman/main/base")
    );
    assert_eq!(value("xlogdb_directory"), words("/srv/main/w"));
    assert_eq!(value("streaming_conninfo"), words("host=pg user=barman"));
    assert_eq!(value("cluster"), words("main"));
    assert_eq!(value("slot_name"), OptionValue::Unset);
    assert_eq!(configuration.complaints, []);
    let place = configuration.servers["main"].place("archiver").unwrap();
    assert_eq!(place.to_string(), "more.conf, line 2");
}

#[test]
fn none_in_a_server_clears_what_barman_says() {
    let configuration = read(HOME, &["[main]\ncompression = None\n"]);
    assert_eq!(server(&configuration, "compression"), OptionValue::Unset);
}

#[test]
fn what_cannot_be_read_is_told_and_the_next_level_counts() {
    let configuration = read(
        HOME,
        &["[main]\ncompression = zip\nretention_polcy = x\nmodell = 1\n"],
    );
    assert_eq!(server(&configuration, "compression"), words("gzip"));
    let said: Vec<_> = configuration
        .complaints
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(said.len(), 3, "{said:?}");
    let typed = "more.conf, line 3: unknown option retention_polcy in [main]; \
                 is retention_policy meant?";
    assert!(said.iter().any(|it| it == typed), "{said:?}");
    assert!(
        said.iter()
            .any(|it| it.contains("\"zip\" is not one of gzip, bzip2")),
        "{said:?}"
    );
}

#[test]
fn percent_signs_are_written_twice_and_references_end() {
    let configuration = read(
        HOME,
        &[
            "[main]\ndescription = 100%% of %(name)s\nconninfo = %(streaming_conninfo)s\n\
         streaming_conninfo = %(conninfo)s\nssh_command = ssh %(nobody)s\n",
        ],
    );
    assert_eq!(server(&configuration, "description"), words("100% of main"));
    assert_eq!(server(&configuration, "conninfo"), OptionValue::Unset);
    let lost = |it: &&Complaint| matches!(it, Complaint::NoReference { .. });
    assert_eq!(configuration.complaints.iter().filter(lost).count(), 3);
}

#[test]
fn a_model_has_only_what_it_says() {
    let configuration = read(
        HOME,
        &["[m]\nmodel = true\ncluster = main\nconninfo = host=other\nbackup_directory = /x\n"],
    );
    let model = &configuration.models["m"];
    assert_eq!(*model.value("conninfo"), words("host=other"));
    assert_eq!(*model.value("compression"), OptionValue::Unset);
    assert_eq!(*model.value("backup_directory"), OptionValue::Unset);
    assert_eq!(configuration.complaints.len(), 1);
}

#[test]
fn what_no_command_can_work_with_is_an_error() {
    let fails = |main: &str, other: &str| {
        let other = [text("more.conf", other)];
        configure(&text("barman.conf", main), &other).unwrap_err()
    };
    for (main, other, expected) in [
        ("[main]\n", "", "barman.conf has no section [barman]"),
        (
            "[barman]\n",
            "",
            "barman.conf does not say where barman_home is",
        ),
        (
            HOME,
            "[all]\n",
            "more.conf, line 1: [all] is a reserved name",
        ),
        (
            HOME,
            "[barman]\nlog_level = DEBUG\n",
            "belongs into barman.conf alone",
        ),
        (
            HOME,
            "[n]\nmodel = on\n",
            "more.conf, line 1: model [n] does not say of which cluster it is",
        ),
        (
            HOME,
            "[main]\nwhat\n",
            "more.conf, line 2: expected OPTION = VALUE",
        ),
    ] {
        let error = fails(main, other);
        assert!(error.to_string().contains(expected), "{error}");
    }
    let elsewhere = fails(HOME, "[barman]\nlog_level = DEBUG\n");
    assert!(matches!(
        elsewhere,
        BadConfiguration::GlobalElsewhere { .. }
    ));
}

#[test]
fn what_the_section_of_defaults_says_counts_everywhere() {
    let configuration = read(HOME, &["[DEFAULT]\ndescription = x\n[main]\n"]);
    assert_eq!(server(&configuration, "description"), words("x"));
    assert_eq!(configuration.servers.len(), 1);
}

#[test]
fn a_misspelled_policy_is_none_and_not_that_of_another_section() {
    let main = "[barman]\nbarman_home = /b\nretention_policy = REDUNDANCY 1\n";
    let configuration = read(
        main,
        &["[main]\nretention_policy = RECOVERY WINDOW 4 WEEKS\n"],
    );
    assert_eq!(configuration.servers["main"].policy(), None);
    assert_eq!(
        server(&configuration, "retention_policy"),
        words("RECOVERY WINDOW 4 WEEKS")
    );
    assert_eq!(configuration.complaints.len(), 1);
}

const OUTSIDE: Outside<'static> = Outside {
    bad_conninfo: &|text| text.starts_with("?").then(|| "it is a question".to_owned()),
    real_path: &str::to_owned,
};

fn all_servers(text: &str, models: &[(&str, &str)]) -> BTreeMap<String, BarmanServer> {
    let owned = |(server, model): &(&str, &str)| ((*server).to_owned(), (*model).to_owned());
    servers(
        &read(HOME, &[text]),
        &models.iter().map(owned).collect(),
        &OUTSIDE,
    )
}

// Barman 3.20.1 disables exactly these servers; seen with `barman check`.
#[test]
fn what_cannot_work_together_disables_a_server() {
    let table = [
        ("archiver=on", "backup_method = rsync needs ssh_command"),
        (
            "backup_method=local-rsync\nssh_command=x",
            "ssh_command does not go with",
        ),
        (
            "backup_method=local-rsync\nbackup_compression=gzip",
            "backup_compression does not",
        ),
        (
            "backup_method=postgres\nreuse_backup=link",
            "reuse_backup does not go with",
        ),
        ("backup_method=postgres\nconninfo=", "conninfo is not set"),
        (
            "backup_method=postgres\nstreaming_conninfo=None",
            "streaming_conninfo is not set",
        ),
        (
            "backup_method=postgres\nconninfo=?x",
            "conninfo is no connection string",
        ),
        (
            "backup_method=postgres\nstreaming_archiver=on",
            "only archiver needs slot_name",
        ),
        (
            "backup_method=snapshot\nssh_command=x",
            "snapshot needs snapshot_disks",
        ),
        (
            "backup_method=postgres\nwals_directory=/var/lib/barman/main/base",
            "wals_directory and basebackups_directory are the same directory",
        ),
    ];
    for (lines, expected) in table {
        let text = format!("[main]\nconninfo = host=pg\n{lines}\n");
        let server = &all_servers(&text, &[])["main"];
        let said: Vec<_> = server.faults.iter().map(ToString::to_string).collect();
        let is_told = said.iter().any(|it| it.contains(expected));
        assert!(is_told, "{lines}: {said:?}");
        assert_eq!(server.standing(), ServerStanding::Disabled);
        assert!(server.settings.is_on("disabled"));
        let text = format!("{text}active = false\n");
        assert_eq!(
            all_servers(&text, &[])["main"].standing(),
            ServerStanding::Inactive
        );
    }
    for lines in [
        "backup_method=postgres\nreuse_backup=off\ndisabled=true",
        "backup_method=local-to-cloud\nwals_directory=s3://a\nbasebackups_directory=s3://a",
        "ssh_command=x\nstreaming_archiver=on\narchiver=on",
    ] {
        let text = format!("[main]\nconninfo = host=pg\n{lines}\n");
        assert_eq!(
            all_servers(&text, &[])["main"].standing(),
            ServerStanding::Active,
            "{lines}"
        );
    }
}

#[test]
fn a_server_without_an_archiver_gets_one_and_backups_are_concurrent() {
    let text = "[main]\nconninfo = host=pg\nbackup_method = postgres\n\
                backup_options = external_configuration\n\
                [copy]\nprimary_ssh_command = ssh b\n";
    let servers = all_servers(text, &[]);
    let main = &servers["main"];
    assert!(main.is_archiver_forced && main.settings.is_on("archiver"));
    assert_eq!(
        main.settings.words("backup_options"),
        ["concurrent_backup", "external_configuration"]
    );
    assert_eq!(servers["copy"].standing(), ServerStanding::Passive);
    assert!(!servers["copy"].settings.is_on("archiver"));
}

#[test]
fn the_active_model_counts_before_the_server_and_must_exist() {
    let text = "[main]\nconninfo = host=pg\nbackup_method = postgres\narchiver = on\n\
                [m]\nmodel = true\ncluster = main\nconninfo = host=other\n";
    let server = &all_servers(text, &[("main", "m")])["main"];
    assert_eq!(server.settings.text("conninfo"), Some("host=other"));
    assert_eq!(server.settings.text("backup_method"), Some("postgres"));
    let server = &all_servers(text, &[("main", "gone")])["main"];
    assert_eq!(server.standing(), ServerStanding::Disabled);
}

#[test]
fn two_servers_in_one_directory_are_told() {
    let text = "[a]\nconninfo = x\n[b]\nconninfo = x\nbackup_directory = /var/lib/barman/a\n";
    let found = collisions(&all_servers(text, &[]), &OUTSIDE);
    assert_eq!(found.len(), 6);
    assert_eq!(
        found[0].to_string(),
        "backup_directory of server b and backup_directory of server a are the same directory, \
         /var/lib/barman/a"
    );
}
