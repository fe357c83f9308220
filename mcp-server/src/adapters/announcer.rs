//! What tools change, as events on the caches' bus.

use mcp_cache::{CacheEventBus, CacheInvalidationEvent, OperationTags};

use crate::ports::EventSink;

/// Puts an event on the bus for every tool that has changed something: one of the tool
/// (`tool:{name}`), and one with the tags that its operation has in the table. What carries them is
/// invalid before the tool's answer is given.
#[derive(Debug)]
pub struct Announcer {
    bus: CacheEventBus,
    operations: OperationTags,
}

impl Announcer {
    /// Announces on `bus`, with the table of operations that is there from the start.
    #[must_use]
    pub fn new(bus: CacheEventBus) -> Self {
        Self {
            bus,
            operations: OperationTags::default(),
        }
    }
}

impl EventSink for Announcer {
    fn state_changed(&self, tool: &str) {
        self.bus.publish(CacheInvalidationEvent::ToolStateChanged {
            tool_name: tool.to_owned(),
        });
        let tags = self.operations.tag_operation(tool);
        if !tags.is_empty() {
            self.bus.publish(CacheInvalidationEvent::Custom {
                name: tool.to_owned(),
                tags,
            });
        }
    }
}
