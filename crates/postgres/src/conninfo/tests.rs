//! What libpq makes of the same strings. Every row was checked with `PQconninfoParse` of
//! libpq 17.0.11 through psycopg2 2.9.13's `parse_dsn`; what is an error here is one there.

use super::BadConninfo::*;
use super::*;

type Good = &'static [(&'static str, &'static [(&'static str, &'static str)])];

const PAIRS: Good = &[
    (
        "host=db port=5432 user=anna dbname=app",
        &[
            ("dbname", "app"),
            ("host", "db"),
            ("port", "5432"),
            ("user", "anna"),
        ],
    ),
    ("", &[]),
    ("   ", &[]),
    (
        "host = db   port =5432",
        &[("host", "db"), ("port", "5432")],
    ),
    (
        "dbname='my db' user='it\\'s'",
        &[("dbname", "my db"), ("user", "it's")],
    ),
    (
        "dbname=my\\ db user=a\\\\b",
        &[("dbname", "my db"), ("user", "a\\b")],
    ),
    (
        "password='' user=anna",
        &[("password", ""), ("user", "anna")],
    ),
    ("user= dbname=app", &[("user", "dbname=app")]),
    ("host=a host=b", &[("host", "b")]),
    ("dbname=caf\\é", &[("dbname", "café")]),
    ("dbname='x'user=y", &[("dbname", "x"), ("user", "y")]),
    ("user=anna\\", &[("user", "anna")]),
    (
        "options='-c search_path=a -c geqo=off'",
        &[("options", "-c search_path=a -c geqo=off")],
    ),
    ("dbname =", &[("dbname", "")]),
    ("host=a=b", &[("host", "a=b")]),
];

const URIS: Good = &[
    ("postgresql://", &[]),
    ("postgres://", &[]),
    ("postgresql://db", &[("host", "db")]),
    ("postgresql://db:5433", &[("host", "db"), ("port", "5433")]),
    ("postgresql://db/app", &[("dbname", "app"), ("host", "db")]),
    ("postgresql:///app", &[("dbname", "app")]),
    ("postgresql://anna@db", &[("host", "db"), ("user", "anna")]),
    (
        "postgresql://anna:se%20cret@db/app",
        &[
            ("dbname", "app"),
            ("host", "db"),
            ("password", "se cret"),
            ("user", "anna"),
        ],
    ),
    ("postgresql://:pw@db", &[("host", "db"), ("password", "pw")]),
    ("postgresql://anna:@db", &[("host", "db"), ("user", "anna")]),
    ("postgresql://@db", &[("host", "db")]),
    (
        "postgresql://a:1,b:2/app?target_session_attrs=read-write",
        &[
            ("dbname", "app"),
            ("host", "a,b"),
            ("port", "1,2"),
            ("target_session_attrs", "read-write"),
        ],
    ),
    (
        "postgresql://a,b:2,c/app",
        &[("dbname", "app"), ("host", "a,b,c"), ("port", ",2,")],
    ),
    (
        "postgresql://,:2/app",
        &[("dbname", "app"), ("host", ","), ("port", ",2")],
    ),
    (
        "postgresql://[2001:db8::1]:5433/app",
        &[("dbname", "app"), ("host", "2001:db8::1"), ("port", "5433")],
    ),
    (
        "postgresql://[::1],[::2]:3/",
        &[("host", "::1,::2"), ("port", ",3")],
    ),
    (
        "postgresql://%2Fvar%2Frun%2Fpostgresql/app",
        &[("dbname", "app"), ("host", "/var/run/postgresql")],
    ),
    (
        "postgresql:///app?host=/tmp&port=6000",
        &[("dbname", "app"), ("host", "/tmp"), ("port", "6000")],
    ),
    ("postgresql://db/app?", &[("dbname", "app"), ("host", "db")]),
    ("postgresql://db?user=x", &[("host", "db"), ("user", "x")]),
    (
        "postgresql://db/app?application_name=a%26b%3Dc",
        &[
            ("application_name", "a&b=c"),
            ("dbname", "app"),
            ("host", "db"),
        ],
    ),
    (
        "postgresql://db/app?ssl=true",
        &[("dbname", "app"), ("host", "db"), ("sslmode", "require")],
    ),
    (
        "postgresql://db/app?host=other",
        &[("dbname", "app"), ("host", "other")],
    ),
    ("postgresql://db/a/b", &[("dbname", "a/b"), ("host", "db")]),
    (
        "postgresql://db/app?connect_timeout=10&",
        &[("connect_timeout", "10"), ("dbname", "app"), ("host", "db")],
    ),
    (
        "postgresql://a@b@c/app",
        &[("dbname", "app"), ("host", "b@c"), ("user", "a")],
    ),
    ("postgresql://a/b@c", &[("dbname", "b@c"), ("host", "a")]),
    (
        "postgresql://db/app+x",
        &[("dbname", "app+x"), ("host", "db")],
    ),
    (
        "postgresql://db/app#x",
        &[("dbname", "app#x"), ("host", "db")],
    ),
    (
        "postgresql://an%40na:p%3Aw@db",
        &[("host", "db"), ("password", "p:w"), ("user", "an@na")],
    ),
    (
        "postgresql://a:b:c@db",
        &[("host", "db"), ("password", "b:c"), ("user", "a")],
    ),
];

#[test]
fn every_form_means_what_libpq_says() {
    for (text, expected) in PAIRS.iter().chain(URIS) {
        let settings = parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        let found: Vec<_> = settings
            .values
            .iter()
            .map(|(k, v)| (*k, v.value.as_str()))
            .collect();
        assert_eq!(found, *expected, "{text:?}");
    }
}

#[test]
fn what_libpq_refuses_is_refused() {
    let table = [
        ("dbname", MissingEquals { word: 1 }),
        ("host=db nonsense=1", UnknownKeyword("nonsense".into())),
        ("user='anna", UnterminatedQuote("user".into())),
        ("=x", UnknownKeyword(String::new())),
        ("Host=x", UnknownKeyword("Host".into())),
        ("postgresqL://db", MissingEquals { word: 1 }),
        ("postgres:/db", MissingEquals { word: 1 }),
        (
            "postgresql://db/app?ssl=false",
            UnknownKeyword("ssl".into()),
        ),
        ("postgresql://db/app?&connect_timeout=10", BadParameter(1)),
        ("postgresql://db/app?connect_timeout", BadParameter(1)),
        ("postgresql://db/app?connect_timeout=1=2", BadParameter(1)),
        (
            "postgresql://db/app?nonsense=1",
            UnknownKeyword("nonsense".into()),
        ),
        ("postgresql://db/%zz", BadPercentEncoding("dbname".into())),
        ("postgresql://db/a%00", BadPercentEncoding("dbname".into())),
        ("postgresql://db/a%2", BadPercentEncoding("dbname".into())),
        ("postgresql://[::1", BadIpv6),
        ("postgresql://[]/x", BadIpv6),
        ("postgresql://[::1]x/", BadIpv6),
    ];
    for (text, expected) in table {
        assert_eq!(parse(text), Err(expected), "{text:?}");
    }
}

#[test]
fn an_error_does_not_repeat_what_may_be_a_password() {
    let strings = [
        "password=correct hush",
        "password=correct hush=x",
        "password='hush",
        "postgresql://anna:hush%zz@db",
        "postgresql://anna:hush%ff@db",
        "postgresql://anna:x@db?password=hush=hush",
    ];
    for text in strings {
        let error = parse(text).expect_err(text);
        assert!(!format!("{error} {error:?}").contains("hush"), "{error}");
    }
}

#[test]
fn settings_are_shown_without_passwords() {
    let settings = parse("host=db password=hush sslpassword=hush").unwrap();
    let shown = format!("{settings:?}");
    assert!(shown.contains("db") && !shown.contains("hush"), "{shown}");
}

#[test]
fn a_dbname_can_be_a_connection_string() {
    for dbname in ["host=db", "postgres://db", "postgresql://", "a=b"] {
        assert!(is_conninfo(dbname), "{dbname}");
    }
    for dbname in ["", "app", "postgresql:/x", "a b"] {
        assert!(!is_conninfo(dbname), "{dbname}");
    }
}

#[test]
fn a_connection_string_with_a_secret_is_known() {
    for (text, secret) in [
        ("host=db password=hunter2", Some("password")),
        ("postgresql://me:hunter2@db/app", Some("password")),
        ("postgresql://db/app?sslpassword=x", Some("sslpassword")),
        ("host=db password=''", None),
        ("postgresql://me@db/app", None),
        ("postgres", None),
        ("host db password=x", None),
    ] {
        assert_eq!(secret_in(text), secret, "{text}");
    }
}
