//! What cannot be done is refused in one line that names the cause and the way out, and
//! nothing is attached or pinned for it.

use std::{fs, path::Path, process::Command, time::Duration};

use aya::{
    Ebpf,
    programs::{Xdp, XdpMode},
};
use sip_filter_tests::{
    namespace::{FILTERED, Folder, Link, Namespace},
    process::{self, Finished},
    sip_filter::{self, SipFilter},
};

const PATIENCE: Duration = Duration::from_secs(30);

/// It failed in one line that holds each of the words.
fn assert_failed(finished: &Finished, words: &[&str]) {
    assert_eq!(finished.status.code(), Some(1), "{finished}");
    assert_eq!(
        finished.stderr.lines().count(),
        1,
        "not one line: {finished}"
    );
    assert_names(finished, words);
}

fn assert_names(finished: &Finished, words: &[&str]) {
    for word in words {
        let named = finished
            .stderr
            .to_lowercase()
            .contains(&word.to_lowercase());
        assert!(named, "'{word}' is not in the message: {finished}");
    }
}

#[test]
fn wrong_usage_is_refused() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    for (options, words) in [
        ("--ports 70000", ["70000", "65535"].as_slice()),
        ("--ports 5060-5050", &["5060-5050"]),
        ("--ports 5060,,6060", &["--ports"]),
        (
            "--drop nothing-known",
            &["nothing-known", "scanners", "options", "malformed"],
        ),
        ("--mode fast", &["fast", "native", "skb"]),
        (&format!("-i {FILTERED}"), &[FILTERED, "twice"]),
    ] {
        for verb in ["attach", "run"] {
            let refused = filter.attempt(&format!("{verb} -i {FILTERED} {options}"));
            assert_eq!(refused.status.code(), Some(2), "{refused}");
            assert_names(&refused, words);
            filter.assert_absent();
        }
    }
    for line in [
        "attach",
        "run",
        "no-such-verb",
        "stats --by colour",
        "stats --format csv",
        "top --interval 10ms",
        "replay",
        "replay absent.pcap --engine gpu",
        "replay absent.pcap --mode skb",
        "replay absent.pcap --format csv",
        "replay absent.pcap --by total --sort packets",
        "replay absent.pcap --drop nothing-known",
        "replay absent.pcap another.pcap",
    ] {
        let refused = filter.attempt(line);
        assert_eq!(refused.status.code(), Some(2), "{refused}");
    }
}

#[test]
fn an_interface_that_is_not_there_is_named() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    for line in [
        "attach -i absent0".to_owned(),
        "run -i absent0".to_owned(),
        // The one that is there is not left attached without the other.
        format!("attach -i {FILTERED} -i absent0"),
    ] {
        assert_failed(&filter.attempt(&line), &["absent0"]);
        filter.assert_absent();
    }
}

#[test]
fn reading_what_is_not_attached_fails_and_says_how_to_attach() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    for line in ["stats", "stats --format json", "status"] {
        assert_failed(&filter.attempt(line), &["test", "attach"]);
    }
    filter.detach();
    filter.assert_absent();
}

/// An XDP program that is not ours, attached until it is dropped.
fn occupy(namespace: &Namespace, interface: &str) -> Ebpf {
    let folder = std::env::var_os("SIP_FILTER_EBPF_DIR")
        .unwrap_or_else(|| panic!("SIP_FILTER_EBPF_DIR is not set: run this with cargo"));
    let object = Path::new(&folder).join("empty");
    assert!(
        object.is_file(),
        "{object:?} is not built: run `cargo xtask build`"
    );
    let mut empty =
        Ebpf::load_file(&object).unwrap_or_else(|error| panic!("cannot load {object:?}: {error}"));
    let program: Result<&mut Xdp, _> = match empty.program_mut("empty") {
        Some(program) => program.try_into(),
        None => panic!("no program 'empty' in {object:?}"),
    };
    let attached = program.and_then(|program| {
        program.load()?;
        namespace
            .inside(|| program.attach(interface, XdpMode::Driver))
            .map(drop)
    });
    match attached {
        Ok(()) => empty,
        Err(error) => panic!("cannot attach 'empty' to {interface}: {error}"),
    }
}

#[test]
fn an_interface_with_another_filter_is_left_to_it_and_that_is_named() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    filter.attach("");
    let program = link.server.xdp_program(FILTERED);
    let id = program.unwrap_or_default().to_string();
    let elsewhere = SipFilter::named(&link.server, "edge");
    for (bpffs, words) in [
        (filter.bpffs(), ["of the filter test", "--name test"]),
        (elsewhere.bpffs(), ["--bpffs", "--mode tcx"]),
    ] {
        let mut edge = link.server.command(sip_filter::binary());
        edge.args(["attach", "-i", FILTERED, "--name", "edge", "--bpffs"])
            .arg(bpffs.path())
            .arg("--state")
            .arg(elsewhere.state());
        let refused = process::run(edge, PATIENCE);
        assert_failed(&refused, &[FILTERED, &id, words[0], words[1]]);
    }
    assert_eq!(link.server.xdp_program(FILTERED), program);
}

#[test]
fn an_interface_with_another_program_is_left_to_it() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let _other = occupy(&link.server, FILTERED);
    let Some(program) = link.server.xdp_program(FILTERED) else {
        panic!("nothing is attached")
    };
    let id = program.to_string();
    for mode in ["auto", "native", "skb"] {
        let refused = filter.attempt(&format!("attach -i {FILTERED} --mode {mode}"));
        assert_failed(&refused, &[FILTERED, &id, "empty", "--mode tcx"]);
        assert_eq!(
            link.server.xdp_program(FILTERED),
            Some(program),
            "with --mode {mode}"
        );
        assert!(filter.bpffs().entries().is_empty(), "something is pinned");
    }
}

/// Asks bash to complete the last word of each line, and writes what it would offer.
const COMPLETE: &str = r#"
source "$1"
shift
for line; do
    read -ra COMP_WORDS <<< "$line"
    [[ $line == *" " ]] && COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    COMPREPLY=()
    _sip__filter sip-filter "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
    echo "${COMPREPLY[*]}"
done
"#;

#[test]
fn bash_completes_verbs_options_and_what_they_take() {
    let folder = Folder::new();
    let mut generate = Command::new(sip_filter::binary());
    generate.arg("generate").arg(folder.path());
    process::run(generate, PATIENCE).successful();
    let offered = [
        ("sip-filter st", "status stats"),
        ("sip-filter run --mod", "--mode"),
        ("sip-filter run --mode ", "auto native skb tcx hw"),
        ("sip-filter stats --by so", "source"),
        ("sip-filter block ", "add del list import export"),
        ("sip-filter block add --tt", "--ttl"),
        ("sip-filter attach -i e", "e"),
    ];
    let mut bash = Command::new("bash");
    bash.args(["-c", COMPLETE, "bash"])
        .arg(folder.path().join("completions/sip-filter.bash"))
        .args(offered.map(|(line, _)| line));
    let completed = process::run(bash, PATIENCE).successful();
    let completed: Vec<_> = completed.stdout.lines().collect();
    assert_eq!(completed.len(), offered.len(), "{completed:?}");
    for ((line, offered), completed) in offered.into_iter().zip(completed) {
        let completed: Vec<_> = completed.split(' ').collect();
        for word in offered.split(' ') {
            assert!(completed.contains(&word), "{line:?}: {completed:?}");
        }
    }
}

#[test]
fn a_folder_that_is_no_bpf_file_system_is_refused() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let folder = Folder::new();
    for folder in [folder.path(), &folder.path().join("absent")] {
        for verb in ["attach", "run"] {
            let mut command = link.server.command(sip_filter::binary());
            command.args([verb, "-i", FILTERED, "--bpffs"]).arg(folder);
            let refused = process::run(command, PATIENCE);
            assert_failed(&refused, &[&folder.to_string_lossy(), "mount", "bpf"]);
            filter.assert_absent();
        }
    }
    let left = fs::read_dir(folder.path()).map(Iterator::count);
    assert_eq!(left.ok(), Some(0), "something was made in {folder:?}");
}

#[test]
fn without_root_it_says_that_root_is_needed() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let folder = Folder::new();
    let copy = sip_filter::binary_for_everybody(&folder);
    for verb in ["attach", "run"] {
        let mut command = link.server.command(&copy);
        command
            .args([verb, "-i", FILTERED, "--bpffs"])
            .arg(filter.bpffs().path());
        process::as_nobody(&mut command);
        let refused = process::run(command, PATIENCE);
        assert_failed(&refused, &["root"]);
        filter.assert_absent();
    }
}
