//! Trust, clear text, MD5 and SCRAM over Unix sockets and TCP, and where passwords come from.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use postgres::client::error::Cause;
use postgres::{ConnectError, Environment, Error};

use crate::cluster::{Cluster, PASSWORD};

fn quoted_password() -> String {
    format!(
        "password='{}'",
        PASSWORD.replace('\\', "\\\\").replace('\'', "\\'")
    )
}

fn sqlstate(error: ConnectError) -> String {
    Error::from(error)
        .sqlstate()
        .expect("the server refused")
        .to_owned()
}

#[tokio::test]
async fn every_method_lets_the_right_password_in_and_no_other() {
    let cluster = Cluster::start().await;
    for user in ["md5user", "scram", "clear", "plainonly"] {
        let right = format!("user={user} {}", quoted_password());
        let mut client = cluster.connect_tcp(&right).await.unwrap();
        let rows = client.query("SELECT current_user").await.unwrap();
        assert_eq!(rows[0].get(0), Some(user));
        let wrong = format!("user={user} password=wrong");
        assert_eq!(
            sqlstate(cluster.connect_tcp(&wrong).await.unwrap_err()),
            "28P01",
            "{user}"
        );
    }
    for user in ["md5user", "scram"] {
        let right = format!("user={user} {}", quoted_password());
        cluster.connect(&right).await.unwrap().close().await;
    }
    cluster.connect("user=postgres").await.unwrap();
    cluster.connect_tcp("user=postgres").await.unwrap();
}

#[tokio::test]
async fn passwords_come_from_the_environment_and_the_passfile() {
    let cluster = Cluster::start().await;
    let environment = Environment::empty().with_variable("PGPASSWORD", PASSWORD);
    cluster
        .connect_as("user=scram", &environment)
        .await
        .unwrap();

    let home = tempfile::tempdir().unwrap();
    let passfile = home.path().join(".pgpass");
    let line = format!("*:{}:postgres:scram:se'cret \\\\ pass\n", cluster.port);
    fs::write(&passfile, line).unwrap();
    fs::set_permissions(&passfile, fs::Permissions::from_mode(0o600)).unwrap();
    let environment = Environment::empty().with_home(home.path());
    cluster
        .connect_as("user=scram", &environment)
        .await
        .unwrap();

    fs::set_permissions(&passfile, fs::Permissions::from_mode(0o644)).unwrap();
    let error = cluster
        .connect_as("user=scram", &environment)
        .await
        .unwrap_err();
    assert!(
        error.hint().unwrap().contains("others have access"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_missing_password_is_said_with_its_remedy() {
    let cluster = Cluster::start().await;
    let error = cluster.connect("user=scram").await.unwrap_err();
    assert!(matches!(error.failures[0].cause, Cause::NoPassword { .. }));
    let socket = cluster
        .path("run")
        .join(format!(".s.PGSQL.{}", cluster.port));
    let expected = format!(
        "cannot connect to PostgreSQL at socket {}: the server asks for a password and none is set",
        socket.display()
    );
    assert_eq!(error.to_string(), expected);
    assert!(error.hint().unwrap().contains(".pgpass"));
}

#[tokio::test]
async fn a_session_that_must_be_bound_to_tls_is_refused_without_it() {
    let cluster = Cluster::start().await;
    for user in ["postgres", "md5user", "clear", "scram"] {
        let settings = format!("user={user} channel_binding=require {}", quoted_password());
        let error = cluster.connect_tcp(&settings).await.unwrap_err();
        assert!(
            error.to_string().contains("channel_binding=require"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn the_servers_process_must_run_as_the_peer_that_is_required() {
    let cluster = Cluster::start().await;
    let me = nix::unistd::geteuid();
    let server = if me.is_root() {
        "postgres".to_owned()
    } else {
        nix::unistd::User::from_uid(me).unwrap().unwrap().name
    };
    cluster
        .connect(&format!("user=postgres requirepeer={server}"))
        .await
        .unwrap();
    let error = cluster
        .connect("user=postgres requirepeer=nobody")
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("requirepeer is \"nobody\""),
        "{error}"
    );
}

#[tokio::test]
async fn hosts_are_tried_in_order_until_one_answers() {
    let cluster = Cluster::start().await;
    let sockets = cluster.path("run");
    let hosts = format!(
        "user=postgres host=/nonexistent,127.0.0.1,{}",
        sockets.display()
    );
    cluster
        .connect(&format!("{hosts} port=1,1,{}", cluster.port))
        .await
        .unwrap();

    let error = cluster
        .connect("user=postgres host=/nonexistent,127.0.0.1 port=1")
        .await;
    let text = error.unwrap_err().to_string();
    assert!(text.contains("socket /nonexistent/.s.PGSQL.1: "), "{text}");
    assert!(text.contains("host \"127.0.0.1\", port 1"), "{text}");

    let standby = cluster
        .connect("user=postgres target_session_attrs=standby")
        .await;
    assert!(
        standby
            .unwrap_err()
            .to_string()
            .ends_with("the session is not standby")
    );
    for kind in ["any", "primary", "read-write", "prefer-standby"] {
        let settings = format!("user=postgres target_session_attrs={kind}");
        cluster.connect(&settings).await.unwrap();
    }
    let settings = "user=postgres target_session_attrs=read-only \
                    options='-c default_transaction_read_only=on'";
    cluster.connect(settings).await.unwrap();
}

#[tokio::test]
async fn an_unknown_user_ends_the_search() {
    let cluster = Cluster::start().await;
    let settings = "user=ghost host=127.0.0.1,127.0.0.1 sslmode=disable";
    let error = cluster.connect(settings).await.unwrap_err();
    assert_eq!(error.failures.len(), 1);
    assert_eq!(sqlstate(error), "28000");
    let error = cluster
        .connect("user=postgres dbname=ghost")
        .await
        .unwrap_err();
    assert_eq!(error.failures.len(), 1);
    assert!(error.hint().unwrap().contains("existing database"));
}
