//! A bucket of one test, and what the test asks of it.

use std::path::Path;
use std::sync::Arc;

use super::OPERATIONS;
use crate::store_client::StoreClient;

/// A bucket of one test.
#[derive(Debug, Clone)]
pub struct Bucket {
    name: String,
    environment: Vec<(String, String)>,
    client: Arc<StoreClient>,
}

impl Bucket {
    pub(super) fn new(
        name: String,
        environment: Vec<(String, String)>,
        client: Arc<StoreClient>,
    ) -> Bucket {
        Bucket {
            name,
            environment,
            client,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The environment of a client that is to reach it; see [`super::SeaweedFs::environment`].
    pub fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// All keys, in order.
    pub fn keys(&self) -> Vec<String> {
        self.ask(&["keys"])
    }

    /// The ids of multipart uploads that were neither completed nor aborted.
    pub fn unfinished_uploads(&self) -> Vec<String> {
        self.ask(&["uploads"])
    }

    /// Puts an object.
    pub fn put(&self, key: &str, body: impl Into<Vec<u8>>) {
        self.client
            .ask(&self.name, &["put", key], Some(&body.into()));
    }

    /// Puts many small objects, several at a time.
    pub fn put_all(&self, objects: impl IntoIterator<Item = (String, String)>) {
        let pairs = objects.into_iter();
        let body: String = pairs
            .map(|(key, body)| format!("{key}\0{body}\0"))
            .collect();
        self.client
            .ask(&self.name, &["fill"], Some(body.as_bytes()));
    }

    /// Puts what another bucket of the same server has into this one too.
    pub fn copy_from(&self, other: &Bucket) {
        self.ask(&["copy", &other.name]);
    }

    /// Writes an object's bytes to a file.
    pub fn get(&self, key: &str, file: &Path) {
        self.ask(&["get", key, &file.display().to_string()]);
    }

    /// Deletes an object.
    pub fn delete(&self, key: &str) {
        self.ask(&["delete", key]);
    }

    /// The tags of an object as `key=value`, sorted and joined with `&`.
    pub fn tags(&self, key: &str) -> String {
        self.ask(&["tags", key]).join("&")
    }

    /// The kind of encryption that S3 says an object has, and the key's id.
    pub fn encryption(&self, key: &str) -> String {
        self.ask(&["encryption", key]).concat()
    }

    /// Puts an object under a legal hold (`ON`) or takes that away (`OFF`).
    pub fn hold(&self, key: &str, status: &str) {
        self.ask(&["hold", key, status]);
    }

    /// Locks an object for so many seconds.
    pub fn retain(&self, key: &str, seconds: &str) {
        self.ask(&["retain", key, seconds]);
    }

    /// Lets a client that reaches the bucket through TLS, and with `variables` on top of the
    /// bucket's environment, answer a question or put an empty object; the error is what it says.
    pub fn boto3_with(
        &self,
        words: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Vec<String>, String> {
        let variables = variables.iter();
        let variables = variables.map(|&(name, value)| (name.to_owned(), value.to_owned()));
        let environment = self.environment.iter().cloned().chain(variables);
        StoreClient::new(OPERATIONS, environment).try_ask(&self.name, words, None)
    }

    pub(super) fn ask(&self, words: &[&str]) -> Vec<String> {
        self.client.ask(&self.name, words, None)
    }
}
