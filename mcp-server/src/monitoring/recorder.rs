//! Where calls are counted: by tool, kind of client and way in.

mod history;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{Counts, Outcome, Span, Tier, latency::Live, window::Windows};
use crate::call::{Lane, Via};

/// Tools that are told apart; calls of any more are counted as those of [`OTHER`].
pub const TOOLS_MAX: usize = 256;
/// The name of all tools that came when there were [`TOOLS_MAX`].
pub const OTHER: &str = "other";

const LANES: usize = Lane::ALL.len();
const WAYS: usize = Via::ALL.len();

/// Counts the calls of all tools. What a call costs here is a look-up in a table of bounds and two
/// or three additions to counters that nobody locks.
#[derive(Debug)]
pub struct Recorder {
    minute: Duration,
    began: Instant,
    tools: Mutex<BTreeMap<String, Arc<ToolCounter>>>,
}

/// Counts the calls of one tool.
#[derive(Debug)]
pub struct ToolCounter {
    name: String,
    tier: Tier,
    lanes: [OnceLock<Box<LaneCounter>>; LANES],
    minute: Duration,
}

/// The calls of one tool by one kind of client.
#[derive(Debug)]
struct LaneCounter {
    /// As the client saw them, by the way in which they came.
    seen: [OnceLock<Box<Live>>; WAYS],
    /// Without what was spent on another server; `None` where that is nothing.
    here: Option<Box<Live>>,
    windows: Mutex<Lately>,
}

#[derive(Debug)]
struct Lately {
    seen: Followed,
    here: Option<Followed>,
}

/// Windows over counts that grow.
#[derive(Debug)]
struct Followed {
    /// What was counted when it was looked at last.
    until: Box<Counts>,
    windows: Windows,
}

/// One call that has ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// The kind of client that called.
    pub lane: Lane,
    /// The way in which the call came.
    pub via: Via,
    /// How long it took.
    pub took: Duration,
    /// How much of that was spent waiting for another server.
    pub elsewhere: Duration,
    /// How it ended.
    pub outcome: Outcome,
}

/// What was counted of one tool and one kind of client in one window.
#[derive(Debug, Clone)]
pub struct Series {
    /// The tool.
    pub tool: Arc<ToolCounter>,
    /// The kind of client.
    pub lane: Lane,
    /// The calls as clients saw them.
    pub seen: Counts,
    /// The same without what was spent on other servers; `None` where that is the same.
    pub here: Option<Counts>,
}

impl Series {
    /// The calls with the time that was spent in this server.
    #[must_use]
    pub fn own(&self) -> &Counts {
        self.here.as_ref().unwrap_or(&self.seen)
    }
}

/// All that was counted of one tool, kind of client and way in, since the start.
#[derive(Debug, Clone)]
pub struct Total {
    /// The tool.
    pub tool: Arc<ToolCounter>,
    /// The kind of client.
    pub lane: Lane,
    /// The way in.
    pub via: Via,
    /// The calls.
    pub counts: Counts,
}

impl Recorder {
    /// Counts nothing yet. `minute` is what the shortest window covers.
    #[must_use]
    pub fn new(minute: Duration) -> Self {
        Self {
            minute,
            began: Instant::now(),
            tools: Mutex::default(),
        }
    }

    /// Where the calls of a tool are counted.
    #[must_use]
    pub fn tool(&self, name: &str, tier: Tier) -> Arc<ToolCounter> {
        let mut tools = self.tools();
        let (name, tier) = match tools.contains_key(name) || tools.len() < TOOLS_MAX {
            true => (name, tier),
            // Some of them may be other servers'.
            false => (OTHER, Tier::Gateway),
        };
        let counter = tools.entry(name.to_owned());
        let counter = counter.or_insert_with(|| {
            Arc::new(ToolCounter {
                name: name.to_owned(),
                tier,
                lanes: std::array::from_fn(|_| OnceLock::new()),
                minute: self.minute,
            })
        });
        counter.clone()
    }

    /// How long ago counting began.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.began.elapsed()
    }

    /// Moves what was counted lately into the windows. To be called a few times in the shortest
    /// one, or calls are taken for later than they were.
    pub fn follow(&self) {
        self.each(|_, lane| {
            let now = self.uptime();
            lane.follow(now);
        });
    }

    /// What the window that ends now holds of each tool and kind of client.
    #[must_use]
    pub fn window(&self, span: Span) -> Vec<Series> {
        let mut all = Vec::new();
        self.each(|(tool, lane), counter| {
            let now = self.uptime();
            let (seen, here) = counter.read(span, now);
            all.push(Series {
                tool: tool.clone(),
                lane,
                seen,
                here,
            });
        });
        all
    }

    /// All that was counted since the start.
    #[must_use]
    pub fn totals(&self) -> Vec<Total> {
        let mut all = Vec::new();
        self.each(|(tool, lane), counter| {
            for (via, live) in Via::ALL.into_iter().zip(&counter.seen) {
                if let Some(live) = live.get() {
                    all.push(Total {
                        tool: tool.clone(),
                        lane,
                        via,
                        counts: live.read(),
                    });
                }
            }
        });
        all
    }

    /// All that was counted of each tool since the start, by whatever client and way, without what
    /// was spent on other servers. The longest is not told.
    #[must_use]
    pub fn own_totals(&self) -> Vec<(Arc<ToolCounter>, Counts)> {
        let mut all: Vec<(Arc<ToolCounter>, Counts)> = Vec::new();
        self.each(|(tool, _), counter| {
            let known = all.last().is_some_and(|(last, _)| Arc::ptr_eq(last, tool));
            if !known {
                all.push((tool.clone(), Counts::default()));
            }
            if let Some((_, counts)) = all.last_mut() {
                counter.add_own(counts);
                counts.max_nanos = 0;
            }
        });
        all
    }

    fn each(&self, mut visit: impl FnMut((&Arc<ToolCounter>, Lane), &LaneCounter)) {
        let tools: Vec<_> = self.tools().values().cloned().collect();
        for tool in &tools {
            for (lane, counter) in Lane::ALL.into_iter().zip(&tool.lanes) {
                if let Some(counter) = counter.get() {
                    visit((tool, lane), counter);
                }
            }
        }
    }

    fn tools(&self) -> MutexGuard<'_, BTreeMap<String, Arc<ToolCounter>>> {
        self.tools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ToolCounter {
    /// The tool's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its calls are expected to take.
    #[must_use]
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// Counts a call.
    pub fn record(&self, ended: Ended) {
        let lane = self.lanes[ended.lane.index()].get_or_init(|| {
            let is_elsewhere = self.tier == Tier::Gateway;
            Box::new(LaneCounter::new(is_elsewhere, self.minute))
        });
        let Ended { took, outcome, .. } = ended;
        lane.seen[ended.via.index()]
            .get_or_init(|| Box::new(Live::new()))
            .record(took, outcome);
        if let Some(here) = &lane.here {
            here.record(took.saturating_sub(ended.elsewhere), outcome);
        }
    }
}

impl LaneCounter {
    fn new(is_elsewhere: bool, minute: Duration) -> Self {
        Self {
            seen: std::array::from_fn(|_| OnceLock::new()),
            here: is_elsewhere.then(|| Box::new(Live::new())),
            windows: Mutex::new(Lately {
                seen: Followed::new(minute),
                here: is_elsewhere.then(|| Followed::new(minute)),
            }),
        }
    }

    fn follow(&self, now: Duration) {
        let mut lately = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        self.advance(&mut lately, now);
    }

    fn read(&self, span: Span, now: Duration) -> (Counts, Option<Counts>) {
        let mut lately = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        self.advance(&mut lately, now);
        let here = lately.here.as_ref();
        (
            lately.seen.windows.read(span, now),
            here.map(|here| here.windows.read(span, now)),
        )
    }

    fn add_own(&self, counts: &mut Counts) {
        match &self.here {
            Some(here) => counts.add(&here.read()),
            None => {
                for live in self.seen.iter().filter_map(OnceLock::get) {
                    counts.add(&live.read());
                }
            }
        }
    }

    fn advance(&self, lately: &mut Lately, now: Duration) {
        let mut all = Counts::default();
        for live in self.seen.iter().filter_map(OnceLock::get) {
            all.add(&live.take());
        }
        lately.seen.add(now, all);
        if let (Some(followed), Some(here)) = (&mut lately.here, &self.here) {
            followed.add(now, here.take());
        }
    }
}

impl Followed {
    fn new(minute: Duration) -> Self {
        Self {
            until: Box::default(),
            windows: Windows::new(minute),
        }
    }

    fn add(&mut self, now: Duration, all: Counts) {
        self.windows.add(now, &all.since(&self.until));
        *self.until = all;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(lane: Lane, took: u64, elsewhere: u64) -> Ended {
        Ended {
            lane,
            via: Via::Tool,
            took: Duration::from_millis(took),
            elsewhere: Duration::from_millis(elsewhere),
            outcome: Outcome::Done,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn calls_are_in_the_window_of_their_tool_and_client_while_it_lasts() {
        let recorder = Recorder::new(Duration::from_secs(60));
        let tool = recorder.tool("memory_get", Tier::Local);
        tool.record(ended(Lane::Cursor, 3, 0));
        tool.record(Ended {
            via: Via::Method,
            ..ended(Lane::Cursor, 3, 0)
        });
        tool.record(ended(Lane::Other, 7, 0));
        let calls = |span| -> Vec<_> {
            let window = recorder.window(span);
            window.iter().map(|s| (s.lane, s.seen.calls())).collect()
        };
        assert_eq!(calls(Span::Minute), [(Lane::Cursor, 2), (Lane::Other, 1)]);
        tokio::time::advance(Duration::from_secs(61)).await;
        recorder.follow();
        assert_eq!(calls(Span::Minute), [(Lane::Cursor, 0), (Lane::Other, 0)]);
        assert_eq!(calls(Span::Hour), [(Lane::Cursor, 2), (Lane::Other, 1)]);
        let totals = recorder.totals();
        let ways: Vec<_> = totals.iter().map(|t| (t.via, t.counts.calls())).collect();
        assert_eq!(ways, [(Via::Tool, 1), (Via::Method, 1), (Via::Tool, 1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_another_server_takes_is_told_apart() {
        let recorder = Recorder::new(Duration::from_secs(60));
        let tool = recorder.tool("github_search", Tier::Gateway);
        tool.record(ended(Lane::Other, 180, 170));
        let window = recorder.window(Span::Minute);
        assert_eq!(window[0].seen.max(), Duration::from_millis(180));
        assert_eq!(window[0].own().max(), Duration::from_millis(10));
    }

    #[tokio::test(start_paused = true)]
    async fn names_are_bounded() {
        let recorder = Recorder::new(Duration::from_secs(60));
        for number in 0..TOOLS_MAX + 10 {
            let tool = recorder.tool(&format!("tool_{number}"), Tier::Local);
            tool.record(ended(Lane::Other, 1, 0));
        }
        let window = recorder.window(Span::Minute);
        assert_eq!(window.len(), TOOLS_MAX + 1);
        let other = window.iter().find(|series| series.tool.name() == OTHER);
        assert_eq!(other.unwrap().seen.calls(), 10);
        // One that is known stays known.
        assert_eq!(recorder.tool("tool_3", Tier::Local).name(), "tool_3");
    }
}
