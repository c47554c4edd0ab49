//! Requests that differ a thousandfold under one gate: a login waits for a database or hashes for tens of milliseconds,
//! a token check takes microseconds. Virtual time and seeds: every run is the same.
//!
//! The server: a processor that is shared evenly by those who compute; a database and a disk that are waited for; a pool
//! of threads that hash, with a queue of its own. Callers give up at their deadline, and the server does not hear of it.

#![expect(clippy::expect_used, reason = "a panic in a test's helper is a failed test")]

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::Duration,
};

use govern::{
    Moment,
    class_gradient::ClassGradient,
    codel::CodelConfig,
    gradient::{Ending, GradientConfig},
    priority::{Area, Class, Gate, PriorityConfig, room_alone},
    waiting::ClassQueues,
};

const CORES: f64 = 2.0;
const WARM_UP_S: f64 = 10.0;
const MEASURED_S: f64 = 10.0;
const HASH_QUEUE: usize = 128;
/// Who has waited for so long for a thread that hashes is told to come back.
const HASH_WAIT_S: f64 = 2.0;
const US: f64 = 1e-6;
const MS: f64 = 1e-3;

/// A kind of request.
#[derive(Clone, Copy)]
struct Kind {
    class: Class,
    /// Its share of what comes.
    share: f64,
    /// What it computes at first, and after it has waited.
    cpu: (f64, f64),
    /// From how long to how long it waits for a database or a disk.
    waits: (f64, f64),
    /// How long a thread of the pool hashes for it.
    hashes: f64,
    /// How long its caller waits.
    patience: f64,
}

const VERIFY: Kind =
    Kind { class: Class::Verify, share: 0.6, cpu: (30.0 * US, 0.0), waits: (0.0, 0.0), hashes: 0.0, patience: 0.25 };
const DEVICE: Kind = Kind {
    class: Class::Login,
    share: 0.2,
    cpu: (150.0 * US, 150.0 * US),
    waits: (2.0 * MS, 5.0 * MS),
    patience: 10.0,
    ..VERIFY
};
const PASSWORD: Kind = Kind { share: 0.05, hashes: 50.0 * MS, ..DEVICE };
const SETTINGS: Kind = Kind { class: Class::Settings, share: 0.1, cpu: (20.0 * US, 0.0), ..VERIFY };
const INGEST: Kind =
    Kind { class: Class::Ingest, share: 0.05, cpu: (50.0 * US, 10.0 * US), waits: (5.0 * MS, 5.0 * MS), ..DEVICE };

/// All in one process: logins of guests, and few passwords.
fn mix(passwords: f64) -> [Kind; 5] {
    let of_logins = |kind: Kind, share| Kind { share, ..kind };
    [VERIFY, of_logins(DEVICE, 0.25 - passwords), of_logins(PASSWORD, passwords), SETTINGS, INGEST]
}

/// The same at a gateway: a token check asks account, and so waits half a millisecond.
fn over_the_wire(passwords: f64) -> [Kind; 5] {
    let mut mix = mix(passwords);
    mix[0] = Kind { cpu: (20.0 * US, 10.0 * US), waits: (0.4 * MS, 0.6 * MS), ..VERIFY };
    mix
}

/// Requests of the mix that processor and pool can do in a second.
fn capacity(mix: &[Kind]) -> f64 {
    let cpu: f64 = mix.iter().map(|kind| kind.share * (kind.cpu.0 + kind.cpu.1)).sum();
    let hashing: f64 = mix.iter().map(|kind| kind.share * kind.hashes).sum();
    (CORES / cpu).min(if hashing > 0.0 { CORES / hashing } else { f64::INFINITY })
}

struct Request {
    kind: usize,
    came: f64,
    began: f64,
    area: Option<Area>,
    /// How many of its steps are done: computing, hashing, waiting, computing.
    step: u8,
}

/// What one kind got.
#[derive(Clone, Copy, Debug, Default)]
struct Got {
    offered: u32,
    in_time: u32,
    slowest: f64,
}

struct Simulation {
    mix: [Kind; 5],
    random: fastrand::Rng,
    now: f64,
    /// The work that a request has got that has been computing all the time.
    progress: f64,
    computing: BinaryHeap<Reverse<(u64, usize)>>,
    waiting: BinaryHeap<Reverse<(u64, usize)>>,
    hashing: u32,
    to_hash: VecDeque<usize>,
    requests: Vec<Option<Request>>,
    free: Vec<usize>,
    gradient: ClassGradient,
    gate: Gate,
    queues: ClassQueues<Request>,
    got: [Got; 5],
    limits: (u32, u32),
    /// How many logins are inside, for their cap while they are slow alone.
    logins: u32,
}

fn moment(seconds: f64) -> Moment {
    Moment::from(Duration::from_secs_f64(seconds))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of a test, in nanoseconds")]
fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

impl Simulation {
    fn new(mix: [Kind; 5]) -> Self {
        let config = GradientConfig::default();
        Self {
            mix,
            random: fastrand::Rng::with_seed(1),
            now: 1.0,
            progress: 0.0,
            computing: BinaryHeap::new(),
            waiting: BinaryHeap::new(),
            hashing: 0,
            to_hash: VecDeque::new(),
            requests: Vec::new(),
            free: Vec::new(),
            gradient: ClassGradient::new(config),
            gate: Gate::new(&PriorityConfig::default(), config.initial),
            queues: ClassQueues::new(CodelConfig::default()),
            got: [Got::default(); 5],
            limits: (config.initial, config.initial),
            logins: 0,
        }
    }

    /// First a while at half of what it can do, so that it knows what is usual; then `load` times as much.
    fn run(&mut self, load: f64) -> [Got; 5] {
        let (flood, end) = (1.0 + WARM_UP_S, 1.0 + WARM_UP_S + MEASURED_S);
        let capacity = capacity(&self.mix);
        let mut arrival = self.now;
        while self.now < end {
            let speed = (CORES / (self.computing.len().max(1) as f64)).min(1.0);
            let computed = self.computing.peek().map_or(f64::INFINITY, |Reverse((at, _))| {
                self.now + (*at as f64 / 1e9 - self.progress).max(0.0) / speed
            });
            let waited = self.waiting.peek().map_or(f64::INFINITY, |Reverse((at, _))| *at as f64 / 1e9);
            let next = arrival.min(computed).min(waited).max(self.now);
            self.progress += (next - self.now) * speed;
            self.now = next;
            if next >= computed {
                let Some(Reverse((_, slot))) = self.computing.pop() else { continue };
                self.go_on(slot);
            } else if next >= waited {
                let Some(Reverse((_, slot))) = self.waiting.pop() else { continue };
                self.go_on(slot);
            } else {
                self.arrive();
                let rate = if self.now < flood { 0.5 } else { load } * capacity;
                arrival = self.now - (1.0 - self.random.f64()).ln() / rate;
            }
        }
        self.got
    }

    fn arrive(&mut self) {
        let mut at = self.random.f64();
        let kind = self.mix.iter().position(|kind| {
            at -= kind.share;
            at < 0.0
        });
        let kind = kind.unwrap_or(0);
        let class = self.mix[kind].class;
        if self.now >= 1.0 + WARM_UP_S {
            self.got[kind].offered += 1;
        }
        let request = Request { kind, came: self.now, began: self.now, area: None, step: 0 };
        let cap = room_alone(&PriorityConfig::default(), self.gradient.limit());
        if class == Class::Login && self.gradient.is_slow_alone(class) && self.logins >= cap {
            return;
        }
        let area = if self.queues.has_waiting_from(class) { None } else { self.gate.try_enter(class) };
        match area {
            Some(area) => self.begin(Request { area: Some(area), ..request }),
            None => {
                self.gradient.was_full();
                drop(self.queues.push(moment(self.now), class, request));
                self.serve();
            }
        }
    }

    fn serve(&mut self) {
        let now = moment(self.now);
        while let Some((_, request, area)) = self.queues.pop(now, |class| self.gate.try_enter(class), |_, _| ()) {
            self.begin(Request { area: Some(area), began: self.now, ..request });
        }
    }

    fn begin(&mut self, request: Request) {
        self.logins += u32::from(self.mix[request.kind].class == Class::Login);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.requests.push(None);
            self.requests.len() - 1
        });
        self.requests[slot] = Some(request);
        self.go_on(slot);
    }

    fn compute(&mut self, slot: usize, work: f64) {
        self.computing.push(Reverse((nanos(self.progress + work), slot)));
    }

    /// The next step of a request.
    fn go_on(&mut self, slot: usize) {
        let request = self.requests[slot].as_mut().expect("it is under way");
        let kind = self.mix[request.kind];
        request.step += 1;
        match request.step {
            1 => self.compute(slot, kind.cpu.0),
            2 if kind.hashes > 0.0 && self.to_hash.len() >= HASH_QUEUE => self.end(slot, Ending::Dropped),
            2 if kind.hashes > 0.0 => {
                self.to_hash.push_back(slot);
                self.hash();
            }
            2 => self.go_on(slot),
            3 => {
                if kind.hashes > 0.0 {
                    self.hashing -= 1;
                    self.hash();
                }
                let (least, most) = kind.waits;
                let until = self.now + least + (most - least) * self.random.f64();
                self.waiting.push(Reverse((nanos(until), slot)));
            }
            4 if kind.cpu.1 > 0.0 => self.compute(slot, kind.cpu.1),
            _ => self.end(slot, Ending::Worked),
        }
    }

    /// The threads that hash leave the processor to requests: they are modelled as cores of their own.
    fn hash(&mut self) {
        while f64::from(self.hashing) < CORES {
            let Some(slot) = self.to_hash.pop_front() else { return };
            let request = self.requests[slot].as_ref().expect("it is under way");
            let kind = request.kind;
            if self.now - request.began > HASH_WAIT_S {
                self.end(slot, Ending::Dropped);
                continue;
            }
            self.hashing += 1;
            self.waiting.push(Reverse((nanos(self.now + self.mix[kind].hashes), slot)));
        }
    }

    fn end(&mut self, slot: usize, ending: Ending) {
        let Some(request) = self.requests[slot].take() else { return };
        self.free.push(slot);
        let kind = self.mix[request.kind];
        self.logins -= u32::from(kind.class == Class::Login);
        let took = self.now - request.came;
        let in_time = took <= kind.patience;
        if request.came >= 1.0 + WARM_UP_S && ending == Ending::Worked {
            let got = &mut self.got[request.kind];
            got.in_time += u32::from(in_time);
            got.slowest = got.slowest.max(took);
        }
        let latency = Duration::from_secs_f64(self.now - request.began);
        let ending = if in_time { ending } else { Ending::Dropped };
        if self.gradient.ended(moment(self.now), kind.class, latency, self.gate.in_flight().total(), ending) {
            let limit = self.gradient.limit();
            self.gate.divide(&PriorityConfig::default(), limit);
            self.limits = (self.limits.0.min(limit), self.limits.1.max(limit));
        }
        self.gate.leave(request.area.expect("it was let in"));
        self.serve();
    }
}

fn served(got: &Got) -> f64 {
    f64::from(got.in_time) / f64::from(got.offered.max(1))
}

#[test]
fn at_five_times_the_load_token_checks_get_more_than_they_had_at_the_whole_of_it() {
    for (name, mix) in [("in process", mix(0.0)), ("over the wire", over_the_wire(0.0))] {
        let mut simulation = Simulation::new(mix);
        let got = simulation.run(5.0);
        let goodput = f64::from(got[0].in_time) / MEASURED_S;
        assert!(goodput >= 0.9 * VERIFY.share * capacity(&mix), "{name}: {goodput} {got:?} {:?}", simulation.limits);
        assert!(served(&got[0]) >= 0.6, "{name}: {got:?} {:?}", simulation.limits);
    }
}

#[test]
fn when_passwords_are_the_bottleneck_they_are_refused_and_nobody_else_is() {
    for (name, mix) in [("in process", mix(0.05)), ("over the wire", over_the_wire(0.05))] {
        let mut simulation = Simulation::new(mix);
        let got = simulation.run(5.0);
        let [verify, _, password, settings, _] = got;
        assert!(served(&verify) > 0.999 && verify.slowest < 0.1, "{name}: {got:?} {:?}", simulation.limits);
        assert!(served(&settings) > 0.99, "{name}: {got:?} {:?}", simulation.limits);
        // The pool is busy all the time with those that are let in.
        let hashes = f64::from(password.in_time) * PASSWORD.hashes / (MEASURED_S * CORES);
        assert!(hashes > 0.85, "{name}: {hashes} {got:?} {:?}", simulation.limits);
    }
}

#[test]
fn at_half_the_load_nobody_is_refused() {
    for mix in [mix(0.0), mix(0.05), over_the_wire(0.0), over_the_wire(0.05)] {
        let got = Simulation::new(mix).run(0.5);
        assert!(got.iter().all(|got| got.in_time + 100 >= got.offered), "{got:?}");
    }
}

#[test]
fn at_a_little_too_much_load_what_matters_least_is_refused_first() {
    let mut simulation = Simulation::new(over_the_wire(0.0));
    let got = simulation.run(1.5);
    let [verify, login, _, settings, ingest] = got;
    let limits = simulation.limits;
    assert!(served(&verify) > 0.99, "{got:?} {limits:?}");
    assert!(served(&login) >= served(&ingest) || served(&settings) > 0.99, "{got:?} {limits:?}");
}
