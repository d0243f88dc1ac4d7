//! Keeping backups of a directory store that holds records written by Barman 3.20.1.

use std::fs;

use super::catalogue::{ask, store};

const KEEP: &str = "barman-cloud-backup-keep";

#[test]
fn a_kept_backup_says_what_is_kept_until_it_is_released() {
    let store = store();
    let status = || ask(KEEP, &store, "20261121T081046 --status").stdout;
    assert_eq!(status(), "Keep: nokeep\n");
    for target in ["standalone", "full"] {
        let said = ask(KEEP, &store, &format!("20261121T081046 --target {target}"));
        assert_eq!((said.status, said.stderr.as_str()), (0, ""));
        assert_eq!(status(), format!("Keep: {target}\n"));
        let annotation = "main/base/20261121T081046/annotations/keep";
        let body = fs::read_to_string(store.path().join(annotation)).expect("an annotation");
        assert_eq!(body, target);
    }
    for _ in 0..2 {
        assert_eq!(ask(KEEP, &store, "20261121T081046 -r").status, 0);
        assert_eq!(status(), "Keep: nokeep\n");
    }
}

#[test]
fn what_another_program_kept_is_known() {
    let said = ask(KEEP, &store(), "oldest -s");
    assert_eq!(said.stdout, "Keep: standalone\n");
}

#[test]
fn what_cannot_be_kept_is_refused_with_the_cause() {
    let store = store();
    let all = [
        "last-failed --target full",
        "20261123T000000 --target full",
        "20260101T000000 --status",
        "nightly --target full",
        "latest",
        "latest -s -r",
        "latest --target all",
    ]
    .map(|words| format!("$ {words}\n{}", ask(KEEP, &store, words).whole()));
    insta::assert_snapshot!(all.join("\n"));
}
