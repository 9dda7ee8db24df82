//! What a source has done lately: how near its limits it is, and whether it behaves as scanners do.
//!
//! One [`Sender`] holds it all, so that a packet costs one look-up. It takes what is known of the
//! packet ([`Sent`]) and the [`Rules`], and gives what they say of it ([`Judgement`]). Compiled twice,
//! for the kernel and for the host.
//!
//! Several CPUs may judge packets of one source at once. Limits are added to atomically, since they
//! are to be exact; what is lost of other counts when two CPUs write one at the same moment is small
//! beside the thresholds, and most sources' packets arrive on one CPU.

use crate::{
    address::Address,
    classify::Destination,
    packet::Datagram,
    rules::{Behaviour, Escalation, LIMITS, Limit, Rules, TICK_BITS, Threshold},
    sip::MessageClass,
    sketch::Sketch,
    verdict::Met,
};

/// What is known of a packet while it is judged. In the kernel it is in a map, in a place that the CPU
/// has for itself: there it takes no room on the stack, and the verifier knows nothing of it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Who sent it.
    pub source: Address,
    /// To whom.
    pub destination: Address,
    /// The destination port, in host byte order.
    pub port: u64,
    /// A [`MessageClass`].
    pub class: u64,
    /// When it arrived, to a jiffy: nanoseconds of the kernel's monotonic clock.
    pub at: u64,
    /// The same as exactly as limits need it.
    pub clock: u64,
    /// A hash of the user that a request is for; 0 where it names none.
    pub user: u64,
    /// [`Self::IN_DIALOGUE`] and others.
    pub flags: u64,
    /// Its length in bytes, counted as in [`Count`](crate::abi::Count).
    pub length: u64,
    /// What is known of it so far: [`Met`].
    pub met: u64,
    /// The number plus one of the behaviour of which it is a part; 0 for none.
    pub behaviour: u64,
}

impl Sent {
    /// A request whose To has a tag: it belongs to a dialogue (RFC 3261 section 12).
    pub const IN_DIALOGUE: u64 = 1;
    /// A request with credentials (RFC 3261 section 22).
    pub const HAS_CREDENTIALS: u64 = 2;
    /// A tool of a dropping kind was recognised.
    pub const IS_HOSTILE: u64 = 4;
    /// It is dropped whatever limits say, and so is not counted by them.
    pub const IS_DROPPED: u64 = 8;

    /// Begins with what the headers of a datagram say that arrived at this time.
    #[inline(always)]
    pub fn note<P>(&mut self, datagram: &Datagram<P>, at: u64) {
        self.source = datagram.source;
        self.destination = datagram.destination;
        self.port = datagram.port as u64;
        self.length = datagram.length as u64;
        self.at = at;
        // SAFETY: references. Volatile, or the compiler calls a function that writes byte by byte.
        unsafe {
            (&raw mut self.met).write_volatile(0);
            (&raw mut self.behaviour).write_volatile(0);
        }
    }

    /// Notes whether a tool of a dropping kind was recognised, and whether it is dropped for it.
    #[inline(always)]
    pub fn note_tool(&mut self, is_hostile: bool, is_dropped: bool) {
        self.flags =
            (is_hostile as u64 * Self::IS_HOSTILE) | (is_dropped as u64 * Self::IS_DROPPED);
    }

    /// Where it is for.
    #[inline(always)]
    pub fn destination(&self) -> Destination {
        Destination {
            address: self.destination,
            port: self.port as u16,
        }
    }

    /// What it has met so far.
    #[inline(always)]
    pub fn met(&self) -> Met {
        Met(self.met as u32)
    }

    /// Whether it has met any of these.
    #[inline(always)]
    pub fn has_met(&self, any: Met) -> bool {
        self.met().contains(any)
    }

    #[inline(always)]
    fn has(&self, flag: u64) -> bool {
        self.flags & flag != 0
    }
}

/// How many counters each of the two rows has in which password guessing is counted.
const GUESSES: usize = 64;

/// What one source has done lately.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// By limit, when the next packet is due: nanoseconds of the kernel's monotonic clock.
    due: [u64; LIMITS],
    /// The users that requests were for.
    users: Sketch<8>,
    /// The ports of hosts that requests were for.
    ports: Sketch<4>,
    /// Their hosts.
    hosts: Sketch<4>,
    /// The hosts that were asked for their options.
    swept: Sketch<4>,
    /// Two rows of counters of REGISTERs with credentials, by user (Cormode and Muthukrishnan, "An
    /// improved data stream summary", 2005): the lower one of a user's two counters is no less than
    /// its count, and more only where other users share both.
    guesses: [u8; 2 * GUESSES],
    /// By behaviour, when its window began, in units of [`TICK_BITS`].
    begun: [u32; Behaviour::COUNT],
    /// Bits set in `users`, `ports`, `hosts` and `swept`.
    user_bits: u32,
    port_bits: u32,
    host_bits: u32,
    swept_bits: u32,
    /// What shows that the requests of the enumeration's window are not all there is.
    answers: u32,
    /// Requests in the flood's window.
    requests: u32,
    /// What shows that not all of these are a flood.
    dialogue: u32,
    /// Packets that count towards escalation.
    offences: u32,
    /// When the first of these came, in units of [`TICK_BITS`].
    first_offence: u32,
    reserved: [u32; 2],
}

/// Bits of the sketch of users, of ports, and of hosts that were asked for their options.
pub const USER_BITS: usize = Sketch::<8>::BITS;
/// As above.
pub const PORT_BITS: usize = Sketch::<4>::BITS;
/// As above.
pub const HOST_BITS: usize = Sketch::<4>::BITS;
/// The most attempts for one user that can be counted.
pub const MAX_GUESSES: u32 = u8::MAX as u32 - 1;

/// Users are being enumerated where at most one in so many of them has an answer in a dialogue.
const USERS_AN_ANSWER: u32 = 4;
/// Requests are a flood where at most one in so many is in a dialogue.
const REQUESTS_A_DIALOGUE: u32 = 10;

/// What is said of a packet.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judgement(pub u64);

impl Judgement {
    const BEHAVIOUR: u32 = 16;
    const ESCALATES: u32 = 24;

    #[inline(always)]
    const fn new(met: Met, behaviour: u32, escalates: bool) -> Self {
        Self(
            met.0 as u64
                | (behaviour as u64) << Self::BEHAVIOUR
                | (escalates as u64) << Self::ESCALATES,
        )
    }

    /// What the packet has met.
    #[inline(always)]
    pub const fn met(self) -> Met {
        Met(self.0 as u32 & 0xffff)
    }

    /// The number plus one of the behaviour of which it is a part; 0 for none.
    #[inline(always)]
    pub const fn behaviour(self) -> u64 {
        self.0 >> Self::BEHAVIOUR & 0xff
    }

    /// Whether its source is to be blocked from this packet on.
    #[inline(always)]
    pub const fn escalates(self) -> bool {
        self.0 >> Self::ESCALATES & 1 != 0
    }
}

impl Sender {
    /// Nothing was seen yet.
    pub const NEW: Self = Self {
        due: [0; LIMITS],
        users: Sketch::EMPTY,
        ports: Sketch::EMPTY,
        hosts: Sketch::EMPTY,
        swept: Sketch::EMPTY,
        guesses: [0; 2 * GUESSES],
        begun: [0; Behaviour::COUNT],
        user_bits: 0,
        port_bits: 0,
        host_bits: 0,
        swept_bits: 0,
        answers: 0,
        requests: 0,
        dialogue: 0,
        offences: 0,
        first_offence: 0,
        reserved: [0; 2],
    };

    /// Whether a request or a response must be judged at all, in which this was found. `uses` is
    /// [`Rules::uses`], which the kernel's program knows before it is loaded, as for what follows.
    #[inline(always)]
    pub fn must_judge(class: MessageClass, is_hostile: bool, is_dropped: bool, uses: u32) -> bool {
        if class as u8 > MessageClass::Response as u8 {
            return false;
        }
        let by_name = uses & Rules::ESCALATION != 0 && is_hostile;
        by_name || uses & (Rules::LIMITS | Rules::BEHAVIOURS) != 0 && !is_dropped
    }

    /// Judges a request or a response.
    #[inline(always)]
    pub fn judge(&mut self, sent: &Sent, rules: &Rules, uses: u32, add: impl Add) -> Judgement {
        let mut met = Met::NOTHING;
        if uses & Rules::LIMITS != 0 && !sent.has(Sent::IS_DROPPED) {
            met = self.limit(sent, rules, add);
        }
        let mut part = 0;
        // What is dropped for its name is not asked what it is up to.
        if uses & Rules::BEHAVIOURS != 0 && !sent.has(Sent::IS_DROPPED) {
            part = self.behave(sent, rules) & rules.watched;
        }
        let dropped = part & rules.dropped;
        if dropped != 0 {
            met = met.and(Met::BEHAVIOUR);
        } else if part != 0 {
            met = met.and(Met::WOULD_BEHAVIOUR);
        }
        let escalates = uses & Rules::ESCALATION != 0 && self.offend(sent, rules, part);
        if escalates {
            met = met.and(rules.escalation.met());
        }
        let named = if dropped != 0 { dropped } else { part };
        Judgement::new(met, first(named), escalates)
    }

    /// Whether the packet is over a limit. What is over one counts for none.
    #[inline(always)]
    fn limit(&mut self, sent: &Sent, rules: &Rules, add: impl Add) -> Met {
        let mut met = Met::NOTHING;
        let by_class = (sent.class as usize + 1) % LIMITS;
        let (all, one) = (&rules.limits[0], &rules.limits[by_class]);
        let is_over_all = is_over(all, self.due[0], sent.clock);
        // A response has no limit of its own, and its place is the first one.
        let is_over_one = by_class != 0 && is_over(one, self.due[by_class], sent.clock);
        if is_over_all {
            met = met.and(what_is_met(all));
        }
        if is_over_one {
            met = met.and(what_is_met(one));
        }
        if met.contains(Met::LIMIT) {
            return met;
        }
        if !is_over_all {
            spend(all, &mut self.due[0], sent.clock, &add);
        }
        if !is_over_one && by_class != 0 {
            spend(one, &mut self.due[by_class], sent.clock, &add);
        }
        met
    }

    /// The behaviours of which the packet is a part, as bits.
    #[inline(always)]
    fn behave(&mut self, sent: &Sent, rules: &Rules) -> u32 {
        let class = sent.class as u8;
        let is_request = class <= MessageClass::Other as u8;
        let is_answer = !is_request || sent.has(Sent::IN_DIALOGUE);
        let tick = (sent.clock >> TICK_BITS) as u32;
        let mut part = 0;

        let rule = &rules.thresholds[Behaviour::Enumeration as usize];
        if self.is_over_since(Behaviour::Enumeration, rule, tick) {
            self.users.clear();
            self.user_bits = 0;
            self.answers = 0;
        }
        let rule = &rules.thresholds[Behaviour::Flood as usize];
        if self.is_over_since(Behaviour::Flood, rule, tick) {
            self.requests = 0;
            self.dialogue = 0;
        }
        if is_answer {
            self.answers = self.answers.wrapping_add(1);
            self.dialogue = self.dialogue.wrapping_add(1);
            return 0;
        }

        self.requests = self.requests.wrapping_add(1);
        if self.requests >= rule.count
            && u64::from(self.dialogue) * u64::from(REQUESTS_A_DIALOGUE) < u64::from(self.requests)
        {
            part |= Behaviour::Flood.bit();
        }

        let rule = &rules.thresholds[Behaviour::PortSweep as usize];
        if self.is_over_since(Behaviour::PortSweep, rule, tick) {
            self.ports.clear();
            self.hosts.clear();
            self.port_bits = 0;
            self.host_bits = 0;
        }
        let host = hash(
            sent.destination.words[0] ^ rules.seed,
            sent.destination.words[1],
        );
        self.host_bits += self.hosts.add(host);
        self.port_bits += self.ports.add(hash(host, sent.port));
        // Where all hosts together have so many times as many ports, one of them has as many.
        if self.port_bits >= rule.count * self.host_bits {
            part |= Behaviour::PortSweep.bit();
        }

        if class == MessageClass::Options as u8 {
            let rule = &rules.thresholds[Behaviour::AddressSweep as usize];
            if self.is_over_since(Behaviour::AddressSweep, rule, tick) {
                self.swept.clear();
                self.swept_bits = 0;
            }
            self.swept_bits += self.swept.add(host);
            if self.swept_bits >= rule.count {
                part |= Behaviour::AddressSweep.bit();
            }
        }

        if sent.user == 0 {
            return part;
        }
        let user = hash(sent.user, rules.seed);
        if class == MessageClass::Register as u8
            || class == MessageClass::Invite as u8
            || class == MessageClass::Options as u8
        {
            let rule = &rules.thresholds[Behaviour::Enumeration as usize];
            self.user_bits += self.users.add(user);
            if self.user_bits >= rule.count
                && u64::from(self.answers) * u64::from(USERS_AN_ANSWER) < u64::from(self.user_bits)
            {
                part |= Behaviour::Enumeration.bit();
            }
        }
        if class == MessageClass::Register as u8 && sent.has(Sent::HAS_CREDENTIALS) {
            let rule = &rules.thresholds[Behaviour::PasswordGuessing as usize];
            if self.is_over_since(Behaviour::PasswordGuessing, rule, tick) {
                self.guesses = [0; 2 * GUESSES];
            }
            if self.guess(user) >= rule.count {
                part |= Behaviour::PasswordGuessing.bit();
            }
        }
        part
    }

    /// How often the user was tried, this time counted.
    #[inline(always)]
    fn guess(&mut self, user: u64) -> u32 {
        let first = (user >> 32) as usize % GUESSES;
        let second = (user >> 40) as usize % GUESSES + GUESSES;
        // The compiler does not see that the sum is in reach, and the verifier wants to.
        let second = second % (2 * GUESSES);
        self.guesses[first] = self.guesses[first].saturating_add(1);
        self.guesses[second] = self.guesses[second].saturating_add(1);
        u32::from(self.guesses[first].min(self.guesses[second]))
    }

    /// Whether the behaviour's window is over; then another one begins.
    #[inline(always)]
    fn is_over_since(&mut self, behaviour: Behaviour, rule: &Threshold, tick: u32) -> bool {
        let begun = &mut self.begun[behaviour as usize];
        if tick.wrapping_sub(*begun) < rule.window {
            return false;
        }
        *begun = tick;
        true
    }

    /// Counts a packet that speaks against its source; whether that is one too many.
    #[inline(always)]
    fn offend(&mut self, sent: &Sent, rules: &Rules, part: u32) -> bool {
        let rule = &rules.escalation;
        // Where escalation only counts, its packets come this far.
        if sent.met & Met::WOULD_ESCALATE.0 as u64 != 0 {
            return false;
        }
        let by_signature = rule.by & Escalation::BY_SIGNATURE != 0 && sent.has(Sent::IS_HOSTILE);
        let by_behaviour = rule.by & Escalation::BY_BEHAVIOUR != 0 && part != 0;
        if !by_signature && !by_behaviour {
            return false;
        }
        let tick = (sent.clock >> TICK_BITS) as u32;
        if tick.wrapping_sub(self.first_offence) >= rule.within {
            self.first_offence = tick;
            self.offences = 0;
        }
        self.offences += 1;
        if self.offences < rule.after {
            return false;
        }
        self.offences = 0;
        true
    }
}

/// The number plus one of the first of these behaviours; 0 for none.
#[inline(always)]
fn first(behaviours: u32) -> u32 {
    let mut number = 0;
    let mut behaviour = Behaviour::COUNT as u32;
    while behaviour > 0 {
        if behaviours >> (behaviour - 1) & 1 != 0 {
            number = behaviour;
        }
        behaviour -= 1;
    }
    number
}

/// How a number is added to that other CPUs may add to.
pub trait Add {
    /// Adds.
    fn add(&self, to: &mut u64, number: u64);
}

/// Adds to what no other CPU adds to.
#[derive(Clone, Copy, Debug)]
pub struct AddAlone;

impl Add for AddAlone {
    #[inline(always)]
    fn add(&self, to: &mut u64, number: u64) {
        *to += number;
    }
}

#[inline(always)]
fn is_over(limit: &Limit, due: u64, now: u64) -> bool {
    limit.interval != 0 && due > now + limit.tolerance
}

#[inline(always)]
fn what_is_met(limit: &Limit) -> Met {
    if limit.drops != 0 {
        Met::LIMIT
    } else {
        Met::WOULD_LIMIT
    }
}

/// The next packet is due one interval later. What was left unused is not kept: the tolerance is all
/// that may come at once.
#[inline(always)]
fn spend(limit: &Limit, due: &mut u64, now: u64, add: &impl Add) {
    if *due < now {
        *due = now + limit.interval;
    } else {
        add.add(due, limit.interval);
    }
}

/// A hash of two words: each bit of them moves the highest ones.
#[inline(always)]
pub fn hash(first: u64, second: u64) -> u64 {
    // Constants of xxHash64 (XXH_PRIME64_1, _2).
    const FIRST: u64 = 0x9e37_79b1_85eb_ca87;
    const SECOND: u64 = 0xc2b2_ae3d_27d4_eb4f;
    let mixed = (first ^ (first >> 32)).wrapping_mul(FIRST) ^ second;
    (mixed ^ (mixed >> 29)).wrapping_mul(SECOND)
}

const _: () = {
    assert!(size_of::<Sent>() == 104);
    assert!(
        size_of::<Sender>() == 8 * LIMITS + 64 + 3 * 32 + 2 * GUESSES + 4 * Behaviour::COUNT + 44
    );
};

#[cfg(feature = "user")]
mod pod {
    // SAFETY: `repr(C)`, made of integers alone, without padding: see the sizes above.
    unsafe impl aya::Pod for super::Sender {}
}
