//! What travels with uploads to S3, who is behind the keys, and stores that behave oddly.
//!
//! Headers are asserted on the wire by a proxy that records them, and where SeaweedFS keeps them,
//! by boto3 asking for them.

mod deleting;
mod identity;
mod listing;
mod troubles;
mod wire;

use testkit::proxy::{FaultProxy, SeenRequest};

/// The value of a header of a request.
pub fn header<'a>(request: &'a SeenRequest, name: &str) -> Option<&'a str> {
    let found = request.headers.iter().find(|(found, _)| found == name);
    found.map(|(_, value)| value.as_str())
}

/// Every kind of request the proxy saw, in words that Barman's and ours have in common, for which
/// `see` has something to say, and what.
pub fn kinds(proxy: &FaultProxy, see: impl Fn(&SeenRequest) -> Option<String>) -> Vec<String> {
    let mut kinds: Vec<String> = proxy
        .requests()
        .iter()
        .filter_map(|request| Some(format!("{}: {}", kind(request), see(request)?)))
        .collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

fn kind(request: &SeenRequest) -> String {
    let target = &request.target;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let object = match () {
        () if path.ends_with("backup.info") => "record",
        () if path.contains("/data.tar") => "archive",
        () if path.ends_with(".history") => "history",
        () if path.contains("/wals/") => "segment",
        () if path.contains("/annotations/") => "annotation",
        () => "bucket",
    };
    let action = match (request.method.as_str(), query) {
        ("PUT", query) if query.contains("partNumber=") => "part",
        ("POST", query) if query.starts_with("uploads") => "begin",
        ("POST", _) => "complete",
        (method, _) => method,
    };
    format!("{action} {object}")
}
