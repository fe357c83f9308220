//! The keys that are asked for, the same in every run.

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Debug, Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Ranks by Zipf's law: the n-th has the weight `1 / n^exponent`.
#[derive(Debug, Clone)]
pub(crate) struct Zipf {
    cumulative: Vec<f64>,
    random: Random,
}

impl Zipf {
    pub(crate) fn new(ranks: usize, exponent: f64, seed: u64) -> Self {
        let mut sum = 0.0;
        let weights = (1..=ranks).map(|rank| {
            sum += (rank as f64).powf(-exponent);
            sum
        });
        Self {
            cumulative: weights.collect(),
            random: Random(seed),
        }
    }

    pub(crate) fn rank(&mut self) -> u64 {
        let total = self.cumulative.last().copied().unwrap_or(0.0);
        let point = self.random.unit() * total;
        self.cumulative.partition_point(|sum| *sum < point) as u64
    }

    pub(crate) fn keys(mut self, count: usize) -> Vec<u64> {
        (0..count).map(|_| self.rank()).collect()
    }
}

/// A trace and how many entries a cache may hold while it runs.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(crate) name: String,
    pub(crate) entries: u64,
    pub(crate) keys: Vec<u64>,
}

const KEYS: usize = 100_000;
const REQUESTS: usize = 1_000_000;

pub(crate) fn all() -> Vec<Trace> {
    let mut traces = Vec::new();
    for exponent in [0.8, 0.99, 1.2] {
        let keys = Zipf::new(KEYS, exponent, 1).keys(REQUESTS);
        for percent in [1, 5, 10] {
            traces.push(Trace {
                name: format!("Zipf {exponent}, {percent} % of the keys"),
                entries: (KEYS * percent / 100) as u64,
                keys: keys.clone(),
            });
        }
    }
    for percent in [1, 5] {
        traces.push(Trace {
            name: format!("Zipf 0.99 with scans, {percent} %"),
            entries: (KEYS * percent / 100) as u64,
            keys: with_scans(),
        });
    }
    for entries in [1_000, 5_000] {
        traces.push(Trace {
            name: format!("loop of 1.1x {entries} entries"),
            entries,
            keys: (0..REQUESTS as u64)
                .map(|n| n % (entries * 11 / 10))
                .collect(),
        });
    }
    for percent in [1, 5] {
        traces.push(Trace {
            name: format!("shifting hot set, {percent} %"),
            entries: (KEYS * percent / 100) as u64,
            keys: shifting(),
        });
    }
    traces
}

/// Every 50,000 requests a scan of 25,000 keys that nobody asks for again.
fn with_scans() -> Vec<u64> {
    let mut zipf = Zipf::new(KEYS, 0.99, 2);
    let mut next_once = KEYS as u64;
    let mut keys = Vec::with_capacity(REQUESTS);
    while keys.len() < REQUESTS {
        keys.extend((0..50_000).map(|_| zipf.rank()));
        keys.extend(next_once..next_once + 25_000);
        next_once += 25_000;
    }
    keys.truncate(REQUESTS);
    keys
}

/// Every 100,000 requests the ranks belong to other keys.
fn shifting() -> Vec<u64> {
    let mut zipf = Zipf::new(KEYS, 0.99, 3);
    let shifted = |(n, rank): (usize, u64)| (rank + (n / 100_000) as u64 * 10_007) % KEYS as u64;
    (0..REQUESTS)
        .map(|n| (n, zipf.rank()))
        .map(shifted)
        .collect()
}
