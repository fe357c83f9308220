//! First in, first out, and out of the middle: a list threaded through a slab.
//! Every step is O(1), and a place is used again rather than allocated.

/// The end of a list.
const NONE: u32 = u32::MAX;

#[derive(Debug)]
pub(crate) struct Queue<T> {
    nodes: Vec<Node<T>>,
    head: u32,
    tail: u32,
    free: u32,
    len: usize,
}

#[derive(Debug)]
struct Node<T> {
    /// `None` while the node is free.
    value: Option<T>,
    prev: u32,
    next: u32,
    /// Tells a key from those of earlier values in the same place.
    generation: u32,
}

/// Where a value is, as long as it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    index: u32,
    generation: u32,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self {
            nodes: Vec::new(),
            head: NONE,
            tail: NONE,
            free: NONE,
            len: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn push(&mut self, value: T) -> Key {
        let index = self.place(value);
        let generation = self.node(index).generation;
        match self.tail {
            NONE => self.head = index,
            tail => self.node(tail).next = index,
        }
        self.tail = index;
        self.len += 1;
        Key { index, generation }
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        match self.head {
            NONE => None,
            head => self.take(head),
        }
    }

    /// `None` if the value has left.
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let node = self.nodes.get(key.index as usize)?;
        match node.generation == key.generation {
            true => self.take(key.index),
            false => None,
        }
    }

    /// In order, with their keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        let mut index = self.head;
        std::iter::from_fn(move || {
            let node = self.nodes.get(index as usize)?;
            let key = Key {
                index,
                generation: node.generation,
            };
            index = node.next;
            node.value.as_ref().map(|value| (key, value))
        })
    }

    fn node(&mut self, index: u32) -> &mut Node<T> {
        &mut self.nodes[index as usize]
    }

    /// At the end of the list, not yet linked from the one before.
    fn place(&mut self, value: T) -> u32 {
        let prev = self.tail;
        if self.free == NONE {
            let index = u32::try_from(self.nodes.len()).expect("bounded by max_waiters");
            self.nodes.push(Node {
                value: Some(value),
                prev,
                next: NONE,
                generation: 0,
            });
            return index;
        }
        let index = self.free;
        let node = self.node(index);
        let next_free = node.next;
        node.value = Some(value);
        node.prev = prev;
        node.next = NONE;
        self.free = next_free;
        index
    }

    fn take(&mut self, index: u32) -> Option<T> {
        let free = self.free;
        let node = self.node(index);
        let value = node.value.take()?;
        let (prev, next) = (node.prev, node.next);
        node.generation = node.generation.wrapping_add(1);
        node.next = free;
        match prev {
            NONE => self.head = next,
            prev => self.node(prev).next = next,
        }
        match next {
            NONE => self.tail = prev,
            next => self.node(next).prev = prev,
        }
        self.free = index;
        self.len -= 1;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    #[derive(Debug, Clone)]
    enum Step {
        Push,
        Pop,
        Remove(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => Just(Step::Push),
            1 => Just(Step::Pop),
            2 => (0usize..64).prop_map(Step::Remove),
        ];
        prop::collection::vec(step, 0..200)
    }

    proptest! {
        #[test]
        fn it_is_a_queue_from_which_any_may_leave(steps in steps()) {
            let (mut queue, mut model) = (Queue::new(), VecDeque::new());
            let mut keys = Vec::new();
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Push => {
                        keys.push((queue.push(number), number));
                        model.push_back(number);
                    }
                    Step::Pop => prop_assert_eq!(queue.pop(), model.pop_front()),
                    Step::Remove(_) if keys.is_empty() => {}
                    Step::Remove(pick) => {
                        let (key, number) = keys[pick % keys.len()];
                        let at = model.iter().position(|other| *other == number);
                        let expect = at.and_then(|at| model.remove(at));
                        prop_assert_eq!(queue.remove(key), expect);
                    }
                }
                prop_assert_eq!(queue.len(), model.len());
                let values: Vec<_> = queue.iter().map(|(_, value)| *value).collect();
                prop_assert_eq!(values, Vec::from(model.clone()));
            }
            prop_assert!(queue.nodes.len() <= 200);
        }
    }
}
