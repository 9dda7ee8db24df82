//! Messages with anything changed in them, the same in each run.

use std::ops::Range;

/// Numbers without a pattern, the same for the same seed (Marsaglia's xorshift64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// From a seed, which is not 0.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// One below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }

    /// A range of `0..end`.
    pub fn range(&mut self, end: usize) -> Range<usize> {
        let [a, b] = [self.below(end + 1), self.below(end + 1)];
        a.min(b)..a.max(b)
    }
}

/// Changes a payload in one place, in a way that the classifier may stumble over.
pub fn change(payload: &mut Vec<u8>, random: &mut Random) {
    const PIECES: [&[u8]; 16] = [
        b"\r\n",
        b"\n",
        b"\r",
        b"\n\n",
        b"\r\n\r\n",
        b"\r\n ",
        b"\t",
        b":",
        b"\0",
        b"\xff",
        b"\r\nUser-Agent: friendly-scanner\r\n",
        b"\nuSER-aGENT \t: sipcli/v1.8",
        b"User-Agent",
        b" SIP/2.0",
        b"SIP/2.0 200 OK\r\n",
        b"OPTIONS ",
    ];
    let place = random.below(payload.len() + 1);
    match random.below(5) {
        0 => payload.truncate(place),
        1 => {
            let range = random.range(payload.len());
            payload.drain(range);
        }
        2 => {
            let range = random.range(payload.len().min(64));
            let piece = payload[range].to_vec();
            payload.splice(place..place, piece);
        }
        3 if place < payload.len() => payload[place] ^= 1 << random.below(8),
        _ => {
            let piece = PIECES[random.below(PIECES.len())];
            payload.splice(place..place, piece.iter().copied());
        }
    }
}
