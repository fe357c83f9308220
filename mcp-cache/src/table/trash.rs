//! What left the table, to be dropped outside of the lock.

/// Keys and values on their way out. One takes no allocation, and one is what
/// an insert into a full table usually removes.
#[derive(Debug)]
pub(crate) struct Trash<K, V> {
    first: Option<(K, V)>,
    more: Vec<(K, V)>,
}

impl<K, V> Trash<K, V> {
    pub(crate) fn new() -> Self {
        Self {
            first: None,
            more: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, item: Option<(K, V)>) {
        if self.first.is_none() {
            self.first = item;
        } else {
            self.more.extend(item);
        }
    }
}
