//! The buffers that parts of uploads are collected in, used again and again.
//!
//! A part of some megabytes that is allocated for every use stays with the allocator of whichever
//! thread freed it, and a few parts in use become many that are not. Always true: a buffer comes
//! back only when its part is dropped everywhere, so nobody sees bytes change.

use std::sync::{Arc, Mutex};

use bytes::Bytes;

/// Buffers that are free, of one job that writes archive after archive.
#[derive(Debug, Clone, Default)]
pub struct PartBuffers {
    free: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl PartBuffers {
    /// An empty buffer with room for a part of this many bytes.
    pub fn take(&self, part_size: usize) -> Vec<u8> {
        let mut free = self.free.lock().expect("no thread panics holding it");
        // The next archive may have larger parts: what is too small for them goes.
        free.retain(|buffer| buffer.capacity() >= part_size);
        let mut buffer = free.pop().unwrap_or_else(|| Vec::with_capacity(part_size));
        buffer.clear();
        buffer
    }

    /// A filled buffer as a part.
    pub fn part(&self, content: Vec<u8>) -> Bytes {
        Bytes::from_owner(BufferedPart {
            content,
            home: self.clone(),
        })
    }
}

struct BufferedPart {
    content: Vec<u8>,
    home: PartBuffers,
}

impl AsRef<[u8]> for BufferedPart {
    fn as_ref(&self) -> &[u8] {
        &self.content
    }
}

impl Drop for BufferedPart {
    fn drop(&mut self) {
        // A poisoned list only means that the buffer is freed instead.
        if let Ok(mut free) = self.home.free.lock() {
            free.push(std::mem::take(&mut self.content));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_the_last_slice_of_its_part_is_gone() {
        let buffers = PartBuffers::default();
        let mut content = buffers.take(4096);
        content.extend_from_slice(b"part");
        let place = content.as_ptr();
        let part = buffers.part(content);
        let slice = part.slice(1..3);
        drop(part);
        let other = buffers.take(4096);
        assert_ne!(other.as_ptr(), place, "a slice is still held");
        assert_eq!(slice, b"ar".as_slice());
        drop(slice);
        let again = buffers.take(4096);
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
    }

    #[test]
    fn a_buffer_that_is_too_small_is_not_used() {
        let buffers = PartBuffers::default();
        let small = buffers.take(16);
        drop(buffers.part(small));
        assert!(buffers.take(4096).capacity() >= 4096);
    }
}
