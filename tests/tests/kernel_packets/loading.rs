//! Whether the verifier takes the programs.

use std::time::Instant;

use sip_filter::kernel::Hook;
use sip_filter_common::rules::Rules;
use sip_filter_tests::kernel::{Policy, Program};

use crate::kernel_and_host::contained;

at_each_hook! {
    the_verifier_takes_the_program
}

/// Says how far from its limits the verifier stays, which is different in each kernel.
fn the_verifier_takes_the_program(hook: Hook) {
    let policy = || Policy::new("scanners,options,malformed", "any,5060-5100,6060").at(hook);
    let mut behaviours = Rules::NONE;
    behaviours.uses |= Rules::BEHAVIOURS;
    for (what, policy, verbose) in [
        ("as it runs", policy(), false),
        ("with -v", policy(), true),
        (
            "looking for what values contain",
            policy().with_signatures(contained()),
            false,
        ),
        (
            "looking for it with -v",
            policy().with_signatures(contained()),
            true,
        ),
        (
            "telling scans by behaviour",
            policy().with_rules(behaviours),
            false,
        ),
    ] {
        let started = Instant::now();
        let program = Program::load_as(policy, verbose);
        let verified = match program.verified_instructions() {
            Some(number) => format!("{number} instructions verified"),
            None => "this kernel does not count what it verifies (5.16 and later do)".into(),
        };
        println!(
            "{hook:?}, {what}: loaded in {:.1?}, {verified}",
            started.elapsed()
        );
    }
}
