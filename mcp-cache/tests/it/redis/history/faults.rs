//! Everything that goes wrong, at random.

use super::super::{proxy::Proxy, server::Server};
use std::{collections::BTreeMap, fmt, time::Duration};
use tokio::time::{Instant, sleep};

/// Of any key, the tier's own among them: another text, or another kind.
const DAMAGE: &str = r"
local key = redis.call('RANDOMKEY')
if key and redis.call('TYPE', key).ok == 'string' then
  redis.call('SETRANGE', key, 12, '~~')
elseif key then
  redis.call('SET', key, 'x')
end
return 0
";

pub(super) struct Faults {
    server: Server,
    random: u64,
    counts: BTreeMap<&'static str, u32>,
}

impl Faults {
    pub(super) fn new(server: Server, seed: u64) -> Self {
        Self {
            server,
            random: seed,
            counts: BTreeMap::new(),
        }
    }

    pub(super) async fn inject(&mut self, proxies: &[Proxy], span: Duration) {
        let end = Instant::now() + span;
        loop {
            sleep(self.ms(100, 900)).await;
            if Instant::now() >= end {
                return;
            }
            self.one(proxies).await;
        }
    }

    async fn one(&mut self, proxies: &[Proxy]) {
        let victim = &proxies[self.below(proxies.len() as u64)];
        let name = match self.below(12) {
            0 | 1 => {
                self.server.save().await;
                sleep(self.ms(0, 300)).await;
                self.server.kill();
                sleep(self.ms(0, 700)).await;
                self.server.resume_from_disk().await;
                "restarted with old content"
            }
            2 => {
                self.server.kill();
                sleep(self.ms(0, 700)).await;
                self.server.resume_empty().await;
                "restarted empty"
            }
            3 | 4 => {
                self.server.stop();
                sleep(self.ms(10, 900)).await;
                self.server.cont();
                "stopped"
            }
            5 => {
                victim.cut();
                "one cut off"
            }
            6 => {
                proxies.iter().for_each(Proxy::cut);
                "all cut off"
            }
            7 => {
                victim.delay(self.ms(1, 60));
                sleep(self.ms(100, 700)).await;
                victim.delay(Duration::ZERO);
                "slow"
            }
            8 => {
                victim.delay(Duration::from_secs(30));
                sleep(self.ms(300, 1_200)).await;
                victim.delay(Duration::ZERO);
                victim.cut();
                "one hears nothing"
            }
            9 => {
                let () = self.server.command(&["FLUSHALL"]).await;
                "flushed"
            }
            10 => {
                // As it does to those that fall behind.
                let kill = ["CLIENT", "KILL", "TYPE", "pubsub"];
                let _: u64 = self.server.command(&kill).await;
                "subscribers cut off"
            }
            _ => {
                for _ in 0..8 {
                    let _: redis::Value = self.server.command(&["EVAL", DAMAGE, "0"]).await;
                }
                "keys damaged"
            }
        };
        *self.counts.entry(name).or_default() += 1;
    }

    fn below(&mut self, bound: u64) -> usize {
        self.random = self
            .random
            .wrapping_mul(0x5851_F42D_4C95_7F2D)
            .wrapping_add(0x1405_7B7E_F767_814F);
        usize::try_from((self.random >> 33) % bound).expect("small")
    }

    fn ms(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from) as u64)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "faults: {:?}", self.counts)
    }
}
