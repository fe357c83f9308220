//! What kind of file it is, and its memories one by one.

use std::{collections::VecDeque, io};

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    TransferError, graph,
    mem0::{Categories, Document, Record},
    own,
    source::Source,
};
use crate::{
    memory::{Memory, MemoryId},
    written,
};

/// The UUID namespace (RFC 9562 §5.5) of the ids of memories that come without one: the same
/// memory gets the same id, so that an import can be repeated.
const NAMESPACE: Uuid = Uuid::from_u128(0x4a0c_9d35_1f0e_4c52_9a57_83c1_27de_6b10);

/// The kinds of files that can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// This program's own export.
    Own,
    /// An export of OpenMemory, or a list of memories from mem0.
    Mem0,
    /// The file of the reference memory server.
    Graph,
}

/// A memory of another program, before what that program does not know is filled in.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) id: Option<String>,
    pub(super) content: String,
    pub(super) tags: Vec<String>,
    pub(super) metadata: Map<String, Value>,
    pub(super) created_at: Option<Timestamp>,
    pub(super) updated_at: Option<Timestamp>,
    pub(super) expires_at: Option<Timestamp>,
}

impl Draft {
    fn into_memory(self, now: Timestamp) -> Memory {
        let created_at = self.created_at.unwrap_or(now);
        let id = self.id.unwrap_or_else(|| {
            let identity = json!([self.metadata, self.content]).to_string();
            Uuid::new_v5(&NAMESPACE, identity.as_bytes()).to_string()
        });
        Memory {
            id: MemoryId::from(id),
            namespace: "default".to_owned(),
            content: self.content,
            tags: self.tags,
            metadata: self.metadata,
            version: 1,
            created_at,
            updated_at: self.updated_at.unwrap_or(created_at),
            expires_at: self.expires_at,
            form: written::Form::default(),
        }
    }
}

/// What a file holds at one place.
#[derive(Debug)]
pub(super) enum Entry {
    Memory(Box<Memory>),
    /// It was deleted where it comes from.
    Deleted,
    /// It cannot be read.
    Broken(String),
}

/// The entries of a file with their places (line or number), in order.
pub(super) struct Entries {
    source: Source,
    state: State,
    place: u64,
    now: Timestamp,
    pub(super) form: Form,
}

enum State {
    Own {
        read: u64,
        ended: bool,
    },
    /// Lines of OpenMemory's export.
    Mem0Lines,
    Mem0List(std::vec::IntoIter<Value>, Categories),
    Graph(VecDeque<Memory>),
}

impl Entries {
    /// Looks at the beginning of the file.
    pub(super) fn begin(mut source: Source) -> Result<Self, TransferError> {
        let failed = |name: &str, source| TransferError::Read {
            name: name.to_owned(),
            source,
        };
        let name = source.name.clone();
        let first = source.line().map_err(|error| failed(&name, error))?;
        let unknown = |reason: String| TransferError::Unknown {
            name: name.clone(),
            reason,
        };
        let first = first.ok_or_else(|| unknown("it is empty".to_owned()))?;
        let mut pending = None;
        let (form, state) = if let Some(header) = own::Header::parse(&first) {
            if let Some(refusal) = header.refusal() {
                return Err(unknown(refusal));
            }
            let state = State::Own {
                read: 0,
                ended: false,
            };
            (Form::Own, state)
        } else if serde_json::from_slice::<graph::Line>(&first).is_ok() {
            pending = Some(first);
            (Form::Graph, State::Graph(VecDeque::new()))
        } else if is_record(&first) {
            pending = Some(first);
            (Form::Mem0, State::Mem0Lines)
        } else {
            let text = source.rest(first).map_err(|error| failed(&name, error))?;
            let document: Document = serde_json::from_slice(&text)
                .map_err(|error| unknown(format!("it is no list of memories ({error})")))?;
            let (memories, names) = document.into_parts();
            (Form::Mem0, State::Mem0List(memories.into_iter(), names))
        };
        let mut entries = Self {
            source,
            state,
            place: 0,
            now: Timestamp::now(),
            form,
        };
        if let Some(first) = pending {
            entries.source.unread(first);
        }
        Ok(entries)
    }

    /// The next entry and its place.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Entry)>> {
        if let State::Mem0List(values, names) = &mut self.state {
            let Some(value) = values.next() else {
                return Ok(None);
            };
            self.place += 1;
            let record = serde_json::from_value(value);
            return Ok(Some((self.place, mem0_entry(record, names, self.now))));
        }
        if let State::Graph(pending) = &mut self.state
            && let Some(memory) = pending.pop_front()
        {
            return Ok(Some((self.place, Entry::Memory(Box::new(memory)))));
        }
        let Some(line) = self.source.line()? else {
            return Ok(self.cut_off().map(|entry| (self.place, entry)));
        };
        self.place += 1;
        Ok(match self.entry(&line) {
            Some(entry) => Some((self.place, entry)),
            None => self.next()?,
        })
    }

    /// What a line is; `None` for the line that ends the file.
    fn entry(&mut self, line: &[u8]) -> Option<Entry> {
        // The error counts lines within this one.
        let said = |error: serde_json::Error| error.to_string().replace("at line 1 ", "at ");
        let broken = |error| Entry::Broken(said(error));
        Some(match &mut self.state {
            State::Own { read, ended } => match own::parse(line) {
                Ok(own::Line::Memory(memory)) => {
                    *read += 1;
                    Entry::Memory(memory)
                }
                Ok(own::Line::Footer(footer)) if footer.memories == *read => {
                    *ended = true;
                    return None;
                }
                Ok(own::Line::Footer(footer)) => {
                    *ended = true;
                    let (said, read) = (footer.memories, *read);
                    Entry::Broken(format!(
                        "the file had {said} memories, and {read} were read"
                    ))
                }
                Err(error) => broken(error),
            },
            State::Mem0Lines => {
                mem0_entry(serde_json::from_slice(line), &Categories::new(), self.now)
            }
            State::Graph(pending) => match serde_json::from_slice::<graph::Line>(line) {
                Ok(line) => {
                    let drafts = line.into_drafts().into_iter();
                    pending.extend(drafts.map(|draft| draft.into_memory(self.now)));
                    Entry::Memory(Box::new(pending.pop_front()?))
                }
                Err(error) => broken(error),
            },
            State::Mem0List(..) => return None,
        })
    }

    /// Says once that the file ended too early.
    fn cut_off(&mut self) -> Option<Entry> {
        match &mut self.state {
            State::Own { read, ended } if !*ended => {
                *ended = true;
                let read = *read;
                Some(Entry::Broken(format!(
                    "the file ends after {read} memories, without the line that counts them: it \
                     was cut off"
                )))
            }
            _ => None,
        }
    }
}

/// Whether the line is a memory of OpenMemory's `memories.jsonl`.
fn is_record(line: &[u8]) -> bool {
    serde_json::from_slice::<Map<String, Value>>(line)
        .is_ok_and(|object| object.contains_key("content") && object.contains_key("id"))
}

fn mem0_entry(
    record: Result<Record, serde_json::Error>,
    names: &Categories,
    now: Timestamp,
) -> Entry {
    let draft = record
        .map_err(|error| error.to_string())
        .and_then(|record| record.into_draft(names));
    match draft {
        Ok(Some(draft)) => Entry::Memory(Box::new(draft.into_memory(now))),
        Ok(None) => Entry::Deleted,
        Err(reason) => Entry::Broken(reason),
    }
}
