//! What keys and values weigh.

use crate::Packed;
use bytes::Bytes;
use std::sync::Arc;

/// Says how many bytes a key or value holds outside of itself, so that a cache
/// can be bounded in bytes. The cache adds what it takes inside of the table.
/// It is asked once, before the value goes in, and under no lock.
///
/// [`Cache::weighing`](crate::Cache::weighing) is for types that do not say.
pub trait Weigh {
    /// Bytes on the heap.
    fn heap_bytes(&self) -> u64;
}

macro_rules! nothing_outside {
    ($($plain:ty),*) => {
        $(impl Weigh for $plain {
            fn heap_bytes(&self) -> u64 {
                0
            }
        })*
    };
}

nothing_outside!(
    (),
    bool,
    char,
    u8,
    u16,
    u32,
    u64,
    u128,
    usize,
    i8,
    i16,
    i32,
    i64,
    i128,
    isize,
    f32,
    f64,
    &'static str
);

impl Weigh for String {
    fn heap_bytes(&self) -> u64 {
        self.capacity() as u64
    }
}

/// Its length, as if nobody else held it. A slice of a larger buffer keeps all of
/// that alive, and does not say how much it is: copy what is to be cached
/// ([`Bytes::copy_from_slice`]) if it was cut out of something larger.
impl Weigh for Bytes {
    fn heap_bytes(&self) -> u64 {
        self.len() as u64
    }
}

impl Weigh for Packed {
    fn heap_bytes(&self) -> u64 {
        self.len() as u64
    }
}

impl Weigh for Arc<str> {
    fn heap_bytes(&self) -> u64 {
        (ARC_BYTES + self.len()) as u64
    }
}

impl Weigh for Box<str> {
    fn heap_bytes(&self) -> u64 {
        self.len() as u64
    }
}

/// The two counts.
const ARC_BYTES: usize = 2 * size_of::<usize>();

/// As if nobody else held it.
impl<T: Weigh> Weigh for Arc<T> {
    fn heap_bytes(&self) -> u64 {
        (ARC_BYTES + size_of::<T>()) as u64 + T::heap_bytes(self)
    }
}

impl<T: Weigh> Weigh for Box<T> {
    fn heap_bytes(&self) -> u64 {
        size_of::<T>() as u64 + T::heap_bytes(self)
    }
}

impl<T: Weigh> Weigh for Option<T> {
    fn heap_bytes(&self) -> u64 {
        self.as_ref().map_or(0, T::heap_bytes)
    }
}

impl<T: Weigh> Weigh for Vec<T> {
    fn heap_bytes(&self) -> u64 {
        let inside = (self.capacity() * size_of::<T>()) as u64;
        inside + self.iter().map(T::heap_bytes).sum::<u64>()
    }
}

impl<A: Weigh, B: Weigh> Weigh for (A, B) {
    fn heap_bytes(&self) -> u64 {
        self.0.heap_bytes() + self.1.heap_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_outside_are_counted_all_the_way_down() {
        assert_eq!(7u64.heap_bytes(), 0);
        assert_eq!(String::from("four").heap_bytes(), 4);
        assert_eq!(Some(Bytes::from_static(b"four")).heap_bytes(), 4);
        assert_eq!(Arc::<str>::from("four").heap_bytes(), 20);
        assert_eq!(Arc::new(7u64).heap_bytes(), 24);
        assert_eq!(vec![String::from("a"), String::from("bc")].heap_bytes(), 51);
        assert_eq!(("a".to_owned(), 1u8).heap_bytes(), 1);
        assert_eq!(Box::new(vec![0u8; 3]).heap_bytes(), 27);
    }
}
