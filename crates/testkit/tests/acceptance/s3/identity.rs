//! Roles and tokens at moto's Security Token Service, and what S3 then sees.

use std::fs;

use testkit::Moto;
use testkit::process::Program;
use testkit::program::barman_program;
use testkit::proxy::FaultProxy;
use testkit::scratch::Scratch;

use super::header;

const ROLE: &str = "arn:aws:iam::123456789012:role/backup";

/// A command on moto's S3 through a proxy, with these AWS files and nothing else of AWS.
fn list(proxy: &FaultProxy, home: &Scratch) -> Program {
    Program::new(barman_program("barman-cloud-backup-list"))
        .args(["s3://backups/pg", "main"])
        .env("HOME", home.path())
        .env("AWS_ENDPOINT_URL", proxy.endpoint())
        .env("AWS_EC2_METADATA_DISABLED", "true")
}

#[test]
fn the_keys_of_a_role_sign_what_follows() {
    let moto = Moto::start();
    moto.boto3("boto3.client('s3').create_bucket(Bucket='backups')");
    let proxy = FaultProxy::before(&moto.address());
    let home = Scratch::new("home");
    let aws = home.shared_folder(".aws");
    fs::write(
        aws.join("config"),
        format!(
            "[profile backup]\nrole_arn = {ROLE}\nsource_profile = base\nexternal_id = x\n\
             role_session_name = nightly\n[profile base]\naws_access_key_id = AKIABASE\n\
             aws_secret_access_key = hunter2\n"
        ),
    )
    .unwrap();
    list(&proxy, &home)
        .args(["--aws-profile", "backup"])
        .run()
        .success();
    let requests = proxy.requests();
    let authorization = |position: usize| header(&requests[position], "authorization").unwrap();
    assert_eq!(
        (requests[0].method.as_str(), requests[0].target.as_str()),
        ("POST", "/")
    );
    assert!(authorization(0).contains("AKIABASE/"));
    assert!(authorization(0).contains("/sts/aws4_request"));
    assert!(
        authorization(1).contains("Credential=ASIA"),
        "{}",
        authorization(1)
    );
    assert!(header(&requests[1], "x-amz-security-token").is_some());

    fs::write(aws.join("token"), "ey.web.identity").unwrap();
    let before = requests.len();
    let list = list(&proxy, &home)
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", aws.join("token"))
        .env("AWS_ROLE_ARN", ROLE);
    list.run().success();
    let requests = proxy.requests();
    let exchange = &requests[before];
    assert_eq!(
        (exchange.method.as_str(), exchange.target.as_str()),
        ("POST", "/")
    );
    assert_eq!(header(exchange, "authorization"), None);
    assert!(header(&requests[before + 1], "x-amz-security-token").is_some());
}
