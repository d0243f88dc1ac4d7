//! What a session does with statements: rows, refusals, notices, limits, interruptions.

use std::time::Duration;

use postgres::{Environment, Error, Severity};

use crate::cluster::Cluster;

#[tokio::test]
async fn rows_come_as_text_with_their_columns() {
    let cluster = Cluster::start().await;
    let mut client = cluster.connect("user=postgres").await.unwrap();
    let rows = client
        .query("SELECT 1 AS one, NULL AS nothing, 'ä' AS letter")
        .await
        .unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].get("one"), Some("1"));
    assert_eq!(rows[0].get("nothing"), None);
    assert_eq!(rows[0].get(2), Some("ä"));
    assert_eq!(rows[0].columns()[0].name, "one");
    assert_eq!(
        client
            .query("SELECT 1; SELECT 2 UNION SELECT 3")
            .await
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        client.execute("CREATE TABLE t (a int)").await.unwrap(),
        "CREATE TABLE"
    );
    assert_eq!(
        client
            .execute("INSERT INTO t VALUES (1), (2)")
            .await
            .unwrap(),
        "INSERT 0 2"
    );
    assert!(client.query("").await.unwrap().is_empty());
    client.check_alive().await.unwrap();
    assert!(
        client
            .parameter("server_version")
            .unwrap()
            .starts_with("15.")
    );
    client.close().await;
}

#[tokio::test]
async fn a_refusal_carries_its_code_and_leaves_the_session_usable() {
    let cluster = Cluster::start().await;
    let mut client = cluster.connect("user=postgres").await.unwrap();
    let error = client.query("SELECT * FROM pg_clas").await.unwrap_err();
    assert_eq!(error.sqlstate(), Some("42P01"));
    let expected = "PostgreSQL: relation \"pg_clas\" does not exist (SQLSTATE 42P01)";
    assert_eq!(error.to_string(), expected);
    let error = client.query("SELECT 'a\0b'").await.unwrap_err();
    assert!(matches!(error, Error::Statement(_)));
    for copy in [
        "COPY pg_class TO STDOUT",
        "CREATE TEMP TABLE t(a int); COPY t FROM STDIN",
    ] {
        let error = client.query(copy).await.unwrap_err();
        assert!(error.to_string().contains("not supported here"), "{error}");
    }
    let error = client
        .query("SELECT repeat('x', 1000000) FROM generate_series(1, 300)")
        .await;
    assert!(matches!(error, Err(Error::TooLarge(_))));
    assert_eq!(client.query("SELECT 1").await.unwrap()[0].get(0), Some("1"));
}

#[tokio::test]
async fn notices_are_kept_until_they_are_taken() {
    let cluster = Cluster::start().await;
    let mut client = cluster.connect("user=postgres").await.unwrap();
    client
        .execute("DO $$ BEGIN RAISE WARNING 'careful'; END $$")
        .await
        .unwrap();
    let notices = client.take_notices();
    assert_eq!(notices.len(), 1);
    assert_eq!(
        (notices[0].message.as_str(), notices[0].severity),
        ("careful", Severity::Notice)
    );
    assert_eq!(notices[0].severity_text, "WARNING");
    assert!(client.take_notices().is_empty());
}

#[tokio::test]
async fn an_abandoned_statement_does_not_spoil_the_next() {
    let cluster = Cluster::start().await;
    let mut client = cluster.connect("user=postgres").await.unwrap();
    let cancel = client.cancel_token();
    let slow = client.query("SELECT 'slow', pg_sleep(60)");
    assert!(
        tokio::time::timeout(Duration::from_millis(300), slow)
            .await
            .is_err()
    );
    cancel.cancel().await.unwrap();
    assert_eq!(
        client.query("SELECT 'next'").await.unwrap()[0].get(0),
        Some("next")
    );
}

#[tokio::test]
async fn a_cancelled_statement_says_so() {
    let cluster = Cluster::start().await;
    let mut client = cluster.connect_tcp("user=postgres").await.unwrap();
    let cancel = client.cancel_token();
    let stopper = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        cancel.cancel().await.unwrap();
    });
    let error = client.query("SELECT pg_sleep(60)").await.unwrap_err();
    assert_eq!(error.sqlstate(), Some("57014"));
    stopper.await.unwrap();
}

#[tokio::test]
async fn a_session_that_was_terminated_is_closed() {
    let cluster = Cluster::start().await;
    let mut client = cluster.connect("user=postgres").await.unwrap();
    let mut other = cluster.connect("user=postgres").await.unwrap();
    let sql = format!("SELECT pg_terminate_backend({}, 5000)", client.process_id());
    assert_eq!(other.query(&sql).await.unwrap()[0].get(0), Some("t"));
    let error = client.query("SELECT 1").await.unwrap_err();
    assert_eq!(error.sqlstate(), Some("57P01"));
    assert!(!client.is_open());
    assert!(matches!(client.query("SELECT 1").await, Err(Error::Closed)));
}

#[tokio::test]
async fn a_set_parameter_wins_over_every_other_source() {
    let cluster = Cluster::start().await;
    let mut admin = cluster.connect("user=postgres").await.unwrap();
    admin
        .execute("ALTER ROLE postgres SET search_path = evil")
        .await
        .unwrap();
    let settings = "user=postgres options='-c search_path=worse -c geqo=off'";
    let environment = Environment::empty().with_variable("PGTZ", "Asia/Tokyo");
    let config = cluster.config(settings, &environment);
    let mut client = postgres::Client::connect(&config).await.unwrap();
    client
        .execute("SET search_path = pg_catalog")
        .await
        .unwrap();
    let sql = "SELECT current_setting('search_path'), current_setting('geqo'), \
               current_setting('TimeZone'), current_setting('client_encoding')";
    let rows = client.query(sql).await.unwrap();
    let values: Vec<_> = rows[0].values().collect();
    assert_eq!(
        values,
        [
            Some("pg_catalog"),
            Some("off"),
            Some("Asia/Tokyo"),
            Some("UTF8")
        ]
    );
}

#[tokio::test]
async fn a_session_that_ends_while_it_is_idle_says_so_by_itself() {
    let cluster = Cluster::start().await;
    let mut other = cluster.connect("user=postgres").await.unwrap();
    let mut client = cluster.connect("user=postgres").await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(50), client.ended()).await;
    assert!(early.is_err(), "it is still there: {early:?}");
    assert_eq!(client.query("SELECT 1").await.unwrap()[0].get(0), Some("1"));
    let sql = format!("SELECT pg_terminate_backend({})", client.process_id());
    other.query(&sql).await.unwrap();
    let error = client.ended().await;
    assert_eq!(error.sqlstate(), Some("57P01"), "{error}");
    assert!(!client.is_open());
    assert!(matches!(client.ended().await, Error::Closed));
}

#[test]
fn a_client_and_its_futures_move_between_threads() {
    fn moves<T: Send>(_: T) {}
    fn is_shared<T: Send + Sync>() {}
    is_shared::<postgres::Client>();
    is_shared::<postgres::CancelToken>();
    is_shared::<Error>();
    moves(async {
        let config = postgres::Config::from_conninfo("", &Environment::gather()).unwrap();
        let mut client = postgres::Client::connect(&config).await.unwrap();
        client.query("SELECT 1").await.unwrap();
        client.close().await;
    });
}
