//! A limit on how many bytes a process uploads in a second, over all its uploads together.
//!
//! A token bucket: every object and every part takes its bytes out before it is signed and sent,
//! in the order of asking, and waits while the bucket is in debt. One second's worth may go at
//! once. What is sent again after a lost connection is not counted again. A record is as small as
//! any request: it pays, but waits for nobody, lest the word that a backup has failed come after
//! minutes. Always true: a wait ends when its upload is dropped, and keeps nothing from the others.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

/// The store with its uploads slowed down to `bytes_per_second`.
pub(crate) fn limit(
    inner: Arc<dyn ObjectStore>,
    bytes_per_second: NonZeroU64,
) -> Arc<dyn ObjectStore> {
    let tokens = Arc::new(TokenBucket::new(bytes_per_second));
    Arc::new(Throttled { inner, tokens })
}

/// The bucket of tokens, as the moment when its debt is paid.
#[derive(Debug)]
struct TokenBucket {
    bytes_per_second: f64,
    /// When everything taken so far is paid for. The lock is held while waiting: first come,
    /// first served.
    paid_at: Mutex<Instant>,
    /// Bytes of what did not wait, still to be taken.
    unpaid: AtomicU64,
}

/// Records and annotations have some KiB.
const SMALL_BYTES: usize = 64 * 1024;

impl TokenBucket {
    fn new(bytes_per_second: NonZeroU64) -> TokenBucket {
        TokenBucket {
            bytes_per_second: bytes_per_second.get() as f64,
            paid_at: Mutex::new(Instant::now()),
            unpaid: AtomicU64::default(),
        }
    }

    /// Takes so many bytes, for which the next one waits.
    fn owe(&self, bytes: usize) {
        self.unpaid.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Takes so many bytes, and waits until what was taken before is paid for.
    async fn take(&self, bytes: usize) {
        const BURST: Duration = Duration::from_secs(1);
        let mut paid_at = self.paid_at.lock().await;
        sleep_until(*paid_at).await;
        let bytes = bytes as u64 + self.unpaid.swap(0, Ordering::Relaxed);
        let price = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second);
        // A bucket that was not used for long is full, and no fuller.
        let full = Instant::now().checked_sub(BURST).unwrap_or(*paid_at);
        *paid_at = (*paid_at).max(full) + price;
    }
}

/// A store whose uploads take tokens.
#[derive(Debug)]
struct Throttled {
    inner: Arc<dyn ObjectStore>,
    tokens: Arc<TokenBucket>,
}

impl fmt::Display for Throttled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Throttled {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        match payload.content_length() {
            small if small <= SMALL_BYTES => self.tokens.owe(small),
            bytes => self.tokens.take(bytes).await,
        }
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let inner = self.inner.put_multipart_opts(location, options).await?;
        let tokens = Arc::clone(&self.tokens);
        Ok(Box::new(ThrottledUpload { inner, tokens }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct ThrottledUpload {
    inner: Box<dyn MultipartUpload>,
    tokens: Arc<TokenBucket>,
}

#[async_trait]
impl MultipartUpload for ThrottledUpload {
    fn put_part(&mut self, payload: PutPayload) -> UploadPart {
        let bytes = payload.content_length();
        // The part's number is its place among these calls; it is signed when it is first polled.
        let sending = self.inner.put_part(payload);
        let tokens = Arc::clone(&self.tokens);
        Box::pin(async move {
            tokens.take(bytes).await;
            sending.await
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::future::join_all;
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    use super::*;

    const MIB: usize = 1024 * 1024;

    fn limited(mib_per_second: u64) -> Arc<dyn ObjectStore> {
        let rate = NonZeroU64::new(mib_per_second << 20).unwrap();
        limit(Arc::new(InMemory::new()), rate)
    }

    async fn upload(store: &dyn ObjectStore, key: &str, parts: usize, part_bytes: usize) {
        let mut upload = store.put_multipart(&Path::from(key)).await.unwrap();
        let sending = (0..parts).map(|_| upload.put_part(vec![7; part_bytes].into()));
        for sent in join_all(sending).await {
            sent.unwrap();
        }
        upload.complete().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn all_uploads_together_keep_the_rate() {
        let store = limited(2);
        let started = Instant::now();
        tokio::join!(
            upload(&*store, "a", 5, 4 * MIB),
            upload(&*store, "b", 5, 4 * MIB)
        );
        // 40 MiB at 2 MiB/s, less what the last part still has to pay, with up to 1 s of burst.
        let took = started.elapsed().as_secs_f64();
        assert!((17.0..=18.1).contains(&took), "{took}");
        let whole = store.get(&Path::from("b")).await.unwrap();
        assert_eq!(whole.meta.size as usize, 20 * MIB);
    }

    #[tokio::test(start_paused = true)]
    async fn what_fits_is_not_held_up_and_idle_time_is_not_saved_up() {
        let store = limited(1);
        let small = || async {
            let started = Instant::now();
            store
                .put(&Path::from("k"), vec![7; MIB / 2].into())
                .await
                .unwrap();
            started.elapsed()
        };
        assert_eq!(small().await, Duration::ZERO);
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let mut waited = Duration::ZERO;
        for _ in 0..20 {
            waited += small().await;
        }
        let took = waited.as_secs_f64();
        assert!((8.0..=9.6).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_that_is_dropped_leaves_its_place_to_others() {
        let store = limited(1);
        let path = Path::from("k");
        store.put(&path, vec![7; 10 * MIB].into()).await.unwrap();
        {
            let mut waiting = pin!(store.put(&path, vec![7; 100 * MIB].into()));
            let early = tokio::time::timeout(Duration::from_secs(1), &mut waiting).await;
            assert!(early.is_err());
        }
        let started = Instant::now();
        store.put(&path, vec![7; MIB].into()).await.unwrap();
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_record_waits_for_nobody_and_is_paid_for() {
        let store = limited(1);
        let path = Path::from("k");
        store.put(&path, vec![7; 100 * MIB].into()).await.unwrap();
        let started = Instant::now();
        for _ in 0..32 {
            let record = vec![7; SMALL_BYTES].into();
            store.put(&path, record).await.unwrap();
        }
        assert_eq!(started.elapsed(), Duration::ZERO);
        store.put(&path, vec![7; MIB].into()).await.unwrap();
        store.put(&path, vec![7; MIB].into()).await.unwrap();
        // 100 MiB of the first, 2 of the records and one of the first of these two, less a burst.
        let took = started.elapsed().as_secs_f64();
        assert!((102.0..=103.1).contains(&took), "{took}");
    }
}
