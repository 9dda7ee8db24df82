//! The program in the kernel and the classifier on the host are one source compiled twice: over a
//! million changed messages they count the same.

use sip_filter::replay::{Engine, Host, Kernel};
use sip_filter_tests::{
    corpus,
    kernel::Policy,
    messages,
    mutation::{Random, change},
    packet::Frame,
    torture,
};

const PACKETS: usize = 1_000_000;
/// The counters are compared after so many.
const BATCH: usize = 5_000;
/// Where the changes begin; a failure names it again.
const SEED: u64 = 0x2545_f491_4f6c_dd1d;
/// Longer ones are not handed to every kernel in one piece.
const LONGEST: usize = 2_900;

/// The program and the host's engine, side by side.
struct Both {
    kernel: Kernel,
    host: Host,
}

impl Both {
    fn new(policy: &Policy) -> Self {
        match (Kernel::new(&policy.load()), Host::new(&policy.load())) {
            (Ok(kernel), Ok(host)) => Self { kernel, host },
            (Err(error), _) | (_, Err(error)) => panic!("cannot load: {error:#}"),
        }
    }

    /// Whether both have counted the same up to the last of these frames.
    fn agree(&mut self, frames: &[Vec<u8>]) -> bool {
        let engines: [&mut dyn Engine; 2] = [&mut self.kernel, &mut self.host];
        let [kernel, host] = engines.map(|engine| {
            let counted = frames
                .iter()
                .try_for_each(|frame| engine.observe(frame, 1))
                .and_then(|()| engine.counters());
            match counted {
                Ok(counters) => counters,
                Err(error) => panic!("{error:#}"),
            }
        });
        assert_eq!(
            self.kernel.not_taken(),
            0,
            "the host counted for the kernel"
        );
        kernel.totals == host.totals && kernel.tool_counts == host.tool_counts
    }
}

#[test]
fn kernel_and_host_agree_on_a_million_changed_messages() {
    let policy = Policy::new("scanners,options,malformed", "5060");
    let mut originals: Vec<Vec<u8>> = messages::ALL
        .iter()
        .map(|(_, message)| message.to_vec())
        .collect();
    for entry in corpus::entries() {
        originals.extend(entry.frames.iter().map(|frame| frame.payload().to_vec()));
    }
    let torture = torture::rfc4475().into_iter().chain(torture::rfc5118());
    originals.extend(torture.map(|message| message.bytes));
    assert!(originals.len() > 200, "{} messages", originals.len());

    let mut both = Both::new(&policy);
    let mut random = Random::new(SEED);
    let mut payload_of = |number: usize| {
        let mut payload = originals[number % originals.len()].clone();
        payload.truncate(LONGEST);
        for _ in 0..1 + random.below(4) {
            change(&mut payload, &mut random);
        }
        payload.truncate(LONGEST);
        payload
    };
    for first in (0..PACKETS).step_by(BATCH) {
        let payloads: Vec<_> = (first..first + BATCH).map(&mut payload_of).collect();
        let frames: Vec<_> = payloads
            .iter()
            .map(|payload| Frame::to("192.0.2.10").payload(payload).bytes())
            .collect();
        if both.agree(&frames) {
            continue;
        }
        // Which one it is: halves of the batch, again and again.
        let (mut from, mut to) = (0, frames.len());
        while to - from > 1 {
            let middle = (from + to) / 2;
            match Both::new(&policy).agree(&frames[from..middle]) {
                true => from = middle,
                false => to = middle,
            }
        }
        panic!(
            "packet {} from seed {SEED:#x}: {}",
            first + from,
            payloads[from].escape_ascii()
        );
    }
}
