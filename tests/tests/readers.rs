//! Who may read what a filter counts and lists: root, and the members of a group that is named.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    process::Command,
    time::Duration,
};

use sip_filter_tests::{
    configuration::Configuration,
    messages::SVMAP,
    namespace::{FILTERED, Folder, Link, SCANNER, SERVER},
    process::{self, Finished, Running, as_nobody_in},
    sip_filter::{self, SipFilter},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// A group that every Debian has, and its number (base-passwd).
const GROUP: &str = "adm";
const NUMBER: u32 = 4;

/// Commands that change nothing, and what they say of one probe and one blocked address.
const READING: [(&str, &str); 7] = [
    ("stats --by source", SCANNER),
    ("status", "1 blocked"),
    ("events", "friendly-scanner"),
    ("block list", "203.0.113.9"),
    ("allow list", "198.51.100.7"),
    ("signatures list", "hits"),
    ("config show", "scanners"),
];

/// Commands that would change something.
const CHANGING: [&str; 5] = [
    "block add 203.0.113.10",
    "block del 203.0.113.9",
    "attach -i sip0",
    "reload",
    "detach",
];

/// Runs commands as somebody who is not root.
struct Somebody<'a> {
    link: &'a Link,
    filter: &'a SipFilter<'a>,
    folder: Folder,
    groups: &'static [u32],
}

impl<'a> Somebody<'a> {
    fn new(link: &'a Link, filter: &'a SipFilter<'a>, groups: &'static [u32]) -> Self {
        let folder = Folder::new();
        sip_filter::binary_for_everybody(&folder);
        Self {
            link,
            filter,
            folder,
            groups,
        }
    }

    fn attempt(&self, line: &str) -> Finished {
        let command = self.filter.command(line.split(' '));
        let program = self.folder.path().join("sip-filter");
        let mut as_somebody: Command = self.link.server.command(program);
        as_somebody.args(command.get_args());
        as_nobody_in(&mut as_somebody, self.groups);
        process::run(as_somebody, PATIENCE)
    }

    fn reads_all(&self) {
        for (line, said) in READING {
            let done = self.attempt(line).successful();
            assert!(done.stdout.contains(said), "{line}: {done}");
        }
    }

    /// Is told so by commands that read pins or the file of the lists.
    fn reads_nothing(&self) {
        for (line, next) in [
            ("stats", "member of the group"),
            ("status", "member of the group"),
            ("config show", "member of the group"),
            ("block list", "run as root"),
        ] {
            let refused = self.attempt(line);
            assert_eq!(refused.status.code(), Some(1), "{line}: {refused}");
            let told = refused.stderr.contains(next) && refused.stderr.contains("root");
            assert!(told, "{line}: {refused}");
        }
    }

    fn changes_nothing(&self) {
        let program = self.link.server.xdp_program(FILTERED);
        for line in CHANGING {
            let refused = self.attempt(line);
            assert_eq!(refused.status.code(), Some(1), "{line}: {refused}");
            assert!(refused.stderr.contains("run as root"), "{line}: {refused}");
        }
        assert_eq!(self.link.server.xdp_program(FILTERED), program);
        self.reads_all();
    }
}

#[test]
fn members_of_the_group_read_and_nobody_else_does() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let configuration = Configuration::new(&format!("group = '{GROUP}'\ndrop = ['scanners']\n"));
    let line = format!("run -i {FILTERED} {}", configuration.option());
    let mut running = Running::start(filter.command(line.split(' ')));
    running.wait_until("it was attached", PATIENCE, |running| {
        running.stderr().contains("is given up")
    });
    filter.succeed("block add 203.0.113.9");
    filter.succeed("allow add 198.51.100.7");
    let sent = link
        .outside
        .udp_socket(SCANNER)
        .send_to(SVMAP, (SERVER, 5060));
    assert!(sent.is_ok(), "{sent:?}");
    running.wait_until("the probe was counted", PATIENCE, |_| {
        filter.stats().totals.packets == 1
    });

    let member = Somebody::new(&link, &filter, &[NUMBER]);
    let stranger = Somebody::new(&link, &filter, &[]);
    member.reads_all();
    member.changes_nothing();
    stranger.reads_nothing();

    // By a process that has given up what it takes to give anything to any group, with new maps.
    configuration.say(&format!(
        "group = '{GROUP}'\ndrop = ['scanners']\nlists.allow = ['192.0.2.20']\n"
    ));
    let pin = || {
        let pin = filter.pins().join("LISTED").metadata();
        pin.unwrap_or_else(|error| panic!("{error}")).ino()
    };
    let before = pin();
    running.signal(libc::SIGHUP);
    running.wait_until("it was reloaded", PATIENCE, |running| {
        running.stderr().contains("signatures read again")
    });
    assert_ne!(pin(), before, "the lists were to have new maps");
    member.reads_all();
    stranger.reads_nothing();

    // And taken back, as by whoever was not told of it.
    configuration.say("drop = ['scanners']\n");
    filter.succeed("reload");
    stranger.reads_nothing();
    member.reads_nothing();
    running.interrupt(PATIENCE).successful();
    filter.assert_absent();
}

#[test]
fn what_stands_in_the_way_of_the_group_is_said() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let refused = filter.attempt(&format!("attach -i {FILTERED} --group no-such-group"));
    assert_eq!(refused.status.code(), Some(2), "{refused}");
    assert!(refused.stderr.contains("groupadd"), "{refused}");
    // As systemd mounts it.
    let closed = fs::set_permissions(filter.bpffs().path(), Permissions::from_mode(0o700));
    closed.unwrap_or_else(|error| panic!("{error}"));
    let attached = filter
        .attempt(&format!("attach -i {FILTERED} --group {GROUP}"))
        .successful();
    assert!(attached.stderr.contains("chmod o+x"), "{attached}");
    // In force all the same, and so it is where the group may not be given anything.
    let mut confined = link.server.command("setpriv");
    confined.args(["--bounding-set", "-all,+bpf,+net_admin,+perfmon"]);
    filter.attach("");
    let attach = format!("attach -i {FILTERED} --group {GROUP}");
    let attach = filter.command(attach.split(' '));
    confined.arg(attach.get_program()).args(attach.get_args());
    let attached = process::run(confined, PATIENCE).successful();
    assert!(
        attached.stderr.contains("SupplementaryGroups="),
        "{attached}"
    );
}
