//! Five times as much as the server can do, through priorities, the learned limit and the queues; and without them.
//!
//! Virtual time and seeds: every run is the same. The server is modelled as a processor that is shared evenly: with more
//! requests at once than cores each of them is slower, and with far more of them some of the work is lost to switching.
//! Callers give up at their deadline; the server does not hear of it and works on.

#![expect(clippy::expect_used, reason = "a panic in a test's helper is a failed test")]

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use govern::{
    Moment,
    class_gradient::ClassGradient,
    codel::CodelConfig,
    gradient::{Ending, GradientConfig},
    priority::{Area, Class, Gate, PriorityConfig},
    waiting::ClassQueues,
};

const CORES: f64 = 8.0;
const WARM_UP_S: f64 = 10.0;
const MEASURED_S: f64 = 30.0;

/// A class, its share of the mix, the work of one request and how long its caller waits.
const MIX: [(Class, f64, f64, f64); 4] = [
    (Class::Verify, 0.60, 0.004, 0.1),
    (Class::Login, 0.25, 0.008, 1.0),
    (Class::Settings, 0.10, 0.004, 0.5),
    (Class::Ingest, 0.05, 0.004, 1.0),
];

/// Requests of the mix that the server can do in a second.
fn capacity() -> f64 {
    CORES / MIX.iter().map(|(_, share, work, _)| share * work).sum::<f64>()
}

struct Request {
    kind: usize,
    came: f64,
}

struct Running {
    request: Request,
    began: f64,
    area: Option<Area>,
}

/// What protects the server.
struct Protection {
    gradient: ClassGradient,
    gate: Gate,
    queues: ClassQueues<Request>,
}

impl Protection {
    fn new() -> Self {
        // The published bounds: a request here is milliseconds of CPU, of which 8 cores do few at once.
        let config = GradientConfig { initial: 20, max: 200, ..GradientConfig::default() };
        Self {
            gradient: ClassGradient::new(config),
            gate: Gate::new(&PriorityConfig::default(), config.initial),
            queues: ClassQueues::new(CodelConfig::default()),
        }
    }
}

struct Simulation {
    random: fastrand::Rng,
    now: f64,
    /// The work that a request has got that has been running all the time.
    progress: f64,
    /// At which progress each is done, in nanoseconds, and which.
    ends: BinaryHeap<Reverse<(u64, usize)>>,
    running: Vec<Option<Running>>,
    free: Vec<usize>,
    protection: Option<Protection>,
    in_time: [u32; MIX.len()],
    refused: [u32; MIX.len()],
    latencies: Vec<f64>,
    most_running: usize,
}

fn moment(seconds: f64) -> Moment {
    Moment::from(Duration::from_secs_f64(seconds))
}

impl Simulation {
    fn new(seed: u64, protection: Option<Protection>) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            now: 1.0,
            progress: 0.0,
            ends: BinaryHeap::new(),
            running: Vec::new(),
            free: Vec::new(),
            protection,
            in_time: [0; MIX.len()],
            refused: [0; MIX.len()],
            latencies: Vec::new(),
            most_running: 0,
        }
    }

    /// How much work a request gets per second.
    fn speed(&self) -> f64 {
        let running = self.ends.len() as f64;
        let switching = 1.0 + (running - 8.0 * CORES).max(0.0) / 1000.0;
        (CORES / running.max(1.0)).min(1.0) / switching
    }

    fn measures(&self) -> bool {
        self.now >= 1.0 + WARM_UP_S
    }

    /// Goodput per second of each class, in the order of the mix.
    fn run(&mut self, load: f64) -> [f64; MIX.len()] {
        let rate = load * capacity();
        let mut arrival = self.now;
        while self.now < 1.0 + WARM_UP_S + MEASURED_S {
            let done =
                self.ends.peek().map(|Reverse((at, _))| (*at as f64 / 1e9 - self.progress).max(0.0) / self.speed());
            match done {
                Some(after) if self.now + after <= arrival => {
                    self.pass_time(after);
                    self.complete();
                }
                _ => {
                    self.pass_time(arrival - self.now);
                    let kind = self.draw();
                    self.arrive(Request { kind, came: self.now });
                    arrival = self.now - (1.0 - self.random.f64()).ln() / rate;
                }
            }
        }
        self.in_time.map(|count| f64::from(count) / MEASURED_S)
    }

    fn draw(&mut self) -> usize {
        let mut at = self.random.f64();
        MIX.iter()
            .position(|(_, share, _, _)| {
                at -= share;
                at < 0.0
            })
            .unwrap_or(0)
    }

    fn pass_time(&mut self, seconds: f64) {
        self.progress += seconds * self.speed();
        self.now += seconds;
    }

    fn arrive(&mut self, request: Request) {
        let Some(protection) = &mut self.protection else { return self.begin(request, None) };
        let (now, class) = (moment(self.now), MIX[request.kind].0);
        let area = if protection.queues.has_waiting_from(class) { None } else { protection.gate.try_enter(class) };
        match area {
            Some(area) => self.begin(request, Some(area)),
            None => {
                protection.gradient.was_full();
                let refused = protection.queues.push(now, class, request);
                self.refuse(refused);
                self.serve_waiting();
            }
        }
    }

    fn serve_waiting(&mut self) {
        loop {
            let Some(protection) = &mut self.protection else { return };
            let mut late = Vec::new();
            let served = protection.queues.pop(
                moment(self.now),
                |class| protection.gate.try_enter(class),
                |_, request| late.push(request),
            );
            self.refuse(late);
            match served {
                Some((_, request, area)) => self.begin(request, Some(area)),
                None => return,
            }
        }
    }

    fn refuse(&mut self, requests: impl IntoIterator<Item = Request>) {
        for request in requests {
            if self.measures() {
                self.refused[request.kind] += 1;
            }
        }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of a test, in nanoseconds")]
    fn begin(&mut self, request: Request, area: Option<Area>) {
        let work = MIX[request.kind].2;
        let running = Some(Running { request, began: self.now, area });
        let slot = self.free.pop().unwrap_or_else(|| {
            self.running.push(None);
            self.running.len() - 1
        });
        self.running[slot] = running;
        self.ends.push(Reverse((((self.progress + work) * 1e9) as u64, slot)));
        self.most_running = self.most_running.max(self.ends.len());
    }

    fn complete(&mut self) {
        let Some(Reverse((_, slot))) = self.ends.pop() else { return };
        self.free.push(slot);
        let Running { request, began, area } = self.running[slot].take().expect("it runs");
        let in_time = self.now - request.came <= MIX[request.kind].3;
        if self.measures() {
            self.in_time[request.kind] += u32::from(in_time);
            self.latencies.push(self.now - request.came);
        }
        if let (Some(protection), Some(area)) = (&self.protection, area) {
            let ending = if in_time { Ending::Worked } else { Ending::Dropped };
            let (class, latency) = (MIX[request.kind].0, Duration::from_secs_f64(self.now - began));
            let in_flight = protection.gate.in_flight().total();
            if protection.gradient.ended(moment(self.now), class, latency, in_flight, ending) {
                protection.gate.divide(&PriorityConfig::default(), protection.gradient.limit());
            }
            protection.gate.leave(area);
        }
        self.serve_waiting();
    }

    fn quantile(&mut self, quantile: f64) -> f64 {
        self.latencies.sort_by(f64::total_cmp);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a list")]
        let place = (self.latencies.len() as f64 * quantile) as usize;
        self.latencies.get(place).copied().unwrap_or_default()
    }
}

#[test]
fn at_five_times_the_load_verifications_get_at_least_their_share() {
    for seed in 1..=3 {
        let mut simulation = Simulation::new(seed, Some(Protection::new()));
        let goodput = simulation.run(5.0);
        assert!(goodput[0] >= 0.9 * 0.6 * capacity(), "{goodput:?}");
        // And more: all of the server does verifications, because there are more of them than it can do.
        assert!(goodput[0] >= 0.9 * CORES / MIX[0].2, "{goodput:?}");
        assert!(simulation.quantile(0.99) < 0.1);
        assert!(simulation.most_running <= 200, "{}", simulation.most_running);
    }
}

#[test]
fn without_protection_the_same_load_is_served_to_nobody_in_time() {
    let goodput = Simulation::new(1, None).run(5.0);
    assert!(goodput[0] < 0.01 * 0.6 * capacity(), "{goodput:?}");
    assert!(goodput.iter().sum::<f64>() < 0.05 * capacity(), "{goodput:?}");
}

#[test]
fn at_a_little_too_much_load_what_matters_least_is_refused_and_verifications_are_not() {
    let load = 1.4;
    let mut simulation = Simulation::new(1, Some(Protection::new()));
    let goodput = simulation.run(load);
    let offered = MIX.map(|(_, share, ..)| share * load * capacity());
    let served: Vec<_> = goodput.iter().zip(offered).map(|(goodput, offered)| goodput / offered).collect();
    assert!(served[0] > 0.99, "{served:?}");
    assert!(served[1] > served[2] && served[2] >= served[3], "login, settings, ingest: {served:?}");
}

#[test]
fn at_half_the_load_nobody_is_refused() {
    let mut simulation = Simulation::new(1, Some(Protection::new()));
    simulation.run(0.5);
    assert_eq!(simulation.refused, [0; MIX.len()]);
}
