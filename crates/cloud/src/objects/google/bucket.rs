//! A bucket as an object store: `object_store`'s client, and what Barman's users expect beside.
//!
//! Google has no tags on objects; as in Barman they become an object's own metadata. Over the XML
//! API those are headers, so a key must be a header's name and loses its upper case. Deleting an
//! object that is not there is no error.

use std::fmt;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use http::header::{HeaderName, HeaderValue};
use object_store::gcp::GoogleCloudStorage;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    TagSet,
};
use url::form_urlencoded;

use crate::identity::google::STORE;
use crate::objects::already_gone::tolerate_absent;

/// An open bucket.
#[derive(Debug)]
pub(super) struct Objects(pub(super) GoogleCloudStorage);

/// A tag that cannot become metadata.
#[derive(Debug, thiserror::Error)]
#[error("tag {key:?} cannot be kept: in Google Cloud Storage {cause}")]
struct UnfitTag {
    key: String,
    cause: &'static str,
}

impl fmt::Display for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Adds tags to the attributes that an object is written with.
fn add_metadata(mut attributes: Attributes, tags: &TagSet) -> Result<Attributes> {
    for (key, value) in form_urlencoded::parse(tags.encoded().as_bytes()) {
        let bad = |cause| Error::Generic {
            store: STORE,
            source: Box::new(UnfitTag {
                key: key.to_string(),
                cause,
            }),
        };
        if HeaderName::try_from(key.as_ref()).is_err() {
            return Err(bad("a key has letters, digits, '-', '_' and '.' only"));
        }
        if !value.is_ascii() || HeaderValue::try_from(value.as_ref()).is_err() {
            return Err(bad("a value must be in ASCII"));
        }
        let key = Attribute::Metadata(key.to_ascii_lowercase().into());
        attributes.insert(key, value.into_owned().into());
    }
    Ok(attributes)
}

#[async_trait]
impl ObjectStore for Objects {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        mut options: PutOptions,
    ) -> Result<PutResult> {
        options.attributes = add_metadata(options.attributes, &options.tags)?;
        self.0.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        mut options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        options.attributes = add_metadata(options.attributes, &options.tags)?;
        self.0.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        tolerate_absent(self.0.delete_stream(locations))
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(key: &str, value: &str) -> Result<Attributes> {
        let mut tags = TagSet::default();
        tags.push(key, value);
        add_metadata(Attributes::new(), &tags)
    }

    #[test]
    fn a_tag_becomes_metadata() {
        let attributes = metadata("Cost-Centre", "a b/c=1").unwrap();
        let value = attributes.get(&Attribute::Metadata("cost-centre".into()));
        assert_eq!(value.map(AsRef::as_ref), Some("a b/c=1"));
    }

    #[test]
    fn what_no_header_can_carry_is_refused() {
        for (key, value) in [("a b", "x"), ("a:b", "x"), ("a", "größe"), ("a", "x\ny")] {
            let error = metadata(key, value).unwrap_err().to_string();
            assert!(error.contains("cannot be kept"), "{error}");
        }
    }
}
