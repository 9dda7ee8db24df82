//! The parser and the classifier of the host under arbitrary bytes: `cargo xtask fuzz`.
//!
//! libFuzzer changes inputs and keeps what reaches code that nothing has reached before. Every
//! input is a frame, a payload, and what follows a start line: header fields are short then, and
//! most changes meet what matters in them. Nothing may panic, with overflow checks and debug
//! assertions on; what else must hold stands in [`frame`] and [`payload`].

#![no_main]

mod frame;
mod payload;
mod reference;
mod signatures;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

use crate::{payload::Judge, signatures::Signatures};

const START_LINE: &[u8] = b"OPTIONS sip:a@b SIP/2.0\r\n";

static SIGNATURES: LazyLock<Signatures> = LazyLock::new(Signatures::read);

fuzz_target!(|input: &[u8]| {
    let mut judge = Judge::new(&SIGNATURES);
    judge.holds(input);
    judge.holds(&[START_LINE, input].concat());
    if let Some(carried) = frame::holds(input) {
        judge.holds(carried);
    }
});
