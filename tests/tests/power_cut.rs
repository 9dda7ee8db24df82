//! Power cuts, imitated by killing whatever writes at a random moment: what is kept is what it was
//! before the command or what it was to be, never a half, and the next command finds its way.

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use sip_filter::{
    config::prefix::Prefix,
    kernel::{Instance, RunningLists},
    lists::List,
};
use sip_filter_tests::{
    configuration::Configuration,
    mutation::Random,
    namespace::{FILTERED, Link, PHONE},
    process::{self, Running},
    sip_filter::SipFilter,
};

const PATIENCE: Duration = Duration::from_secs(60);
/// How often something is killed.
const CUTS: usize = 100;
/// The ports of the two configurations.
const PORTS: [&str; 2] = ["5060", "5060-5100"];

/// What is killed.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// `block import --replace` of the other one of two long lists.
    Import,
    /// `block add` or `block del` of some addresses.
    Change,
    /// `reload` of the other one of two configurations.
    Reload,
    /// `attach` with it.
    Attach,
}

const KINDS: [Cut; 4] = [Cut::Import, Cut::Change, Cut::Reload, Cut::Attach];
/// In which order, again and again: those that are quick are killed more often.
const ORDER: [Cut; 6] = [
    Cut::Import,
    Cut::Change,
    Cut::Reload,
    Cut::Import,
    Cut::Change,
    Cut::Attach,
];

/// What is listed: which of the long lists, whether the addresses of [`Cut::Change`], and which
/// configuration's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Listed {
    import: usize,
    change: bool,
    configuration: usize,
}

impl Listed {
    /// What comes of a command.
    fn after(self, cut: Cut) -> Self {
        match cut {
            Cut::Import => Self {
                import: 1 - self.import,
                change: false,
                ..self
            },
            Cut::Change => Self {
                change: !self.change,
                ..self
            },
            Cut::Reload | Cut::Attach => Self {
                configuration: 1 - self.configuration,
                ..self
            },
        }
    }

    /// The addresses.
    fn addresses(self) -> BTreeSet<String> {
        let mut addresses = imported(self.import);
        addresses.extend(configured(self.configuration));
        if self.change {
            addresses.extend(changed());
        }
        addresses.into_iter().collect()
    }
}

fn imported(which: usize) -> Vec<String> {
    let hosts = (0..3000).map(|n| format!("10.{which}.{}.{}", n / 250, n % 250 + 1));
    let prefixes = (0..200).map(|n| format!("10.{}.{n}.0/24", 2 + which));
    hosts.chain(prefixes).collect()
}

fn configured(which: usize) -> Vec<String> {
    let hosts = (1..250).map(|n| format!("10.4.{which}.{n}"));
    hosts.collect()
}

fn changed() -> Vec<String> {
    (1..250).map(|n| format!("10.5.0.{n}")).collect()
}

/// A filter, and what its commands are given.
struct World<'a> {
    filter: SipFilter<'a>,
    configuration: Configuration,
    imports: [PathBuf; 2],
}

impl<'a> World<'a> {
    fn new(link: &'a Link) -> Self {
        let configuration = Configuration::new("");
        for which in 0..2 {
            configuration.write(&format!("import{which}"), &imported(which).join("\n"));
            configuration.write(&format!("listed{which}"), &configured(which).join("\n"));
        }
        let beside = |name: &str| configuration.path().with_file_name(name);
        let imports = [beside("import0"), beside("import1")];
        Self {
            filter: SipFilter::new(&link.server),
            configuration,
            imports,
        }
    }

    /// The command that makes `next` of what is listed.
    fn command(&self, cut: Cut, next: Listed) -> Command {
        let block = |words: &[&str]| self.filter.command([&["block"], words].concat());
        match cut {
            Cut::Import => {
                let mut command = block(&["import", "--replace"]);
                command.arg(&self.imports[next.import]);
                command
            }
            Cut::Change => {
                let mut command = block(&[if next.change { "add" } else { "del" }]);
                command.args(changed());
                command
            }
            Cut::Reload | Cut::Attach => {
                let which = next.configuration;
                self.configuration.say(&format!(
                    "ports = '{}'\n[lists]\nblock_files = ['listed{which}']\n",
                    PORTS[which]
                ));
                match cut {
                    Cut::Reload => self.filter.command(["reload"]),
                    _ => {
                        let mut attach = self.filter.command(["attach", "-i", FILTERED]);
                        attach.arg("--config").arg(self.configuration.path());
                        attach
                    }
                }
            }
        }
    }

    /// Whether a command has happened, of all that is kept: it has, or it has not.
    fn has_happened(&self, cut: Cut, before: Listed) -> bool {
        let after = before.after(cut);
        let list = self.filter.succeed("block list --format json");
        let list: Vec<Value> =
            serde_json::from_str(&list).unwrap_or_else(|error| panic!("{error}: {list}"));
        let text = |entry: &Value| entry["address"].as_str().map(str::to_owned);
        let listed: BTreeSet<_> = list.iter().filter_map(text).collect();
        let has_happened = listed == after.addresses();
        assert!(
            has_happened || listed == before.addresses(),
            "{cut:?} of {before:?}: {} entries are neither",
            listed.len()
        );
        has_happened
    }

    /// Whether it is known what the program in force was given; that is whole then.
    fn is_given_known(&self) -> bool {
        let shown = self.filter.attempt("config show --format json");
        if !shown.status.success() {
            // The program is another one: killed before that was written, what is kept is whole.
            let is_told = shown.stderr.contains("does not hold what the filter");
            assert!(is_told, "{shown}");
            return false;
        }
        let rows: Vec<Value> =
            serde_json::from_str(&shown.stdout).unwrap_or_else(|error| panic!("{error}: {shown}"));
        let given = rows.iter().find(|row| row["key"] == "ports");
        let given = given.and_then(|row| row["value"].as_str());
        let status = self.filter.succeed("status --format json");
        let status: Value =
            serde_json::from_str(&status).unwrap_or_else(|error| panic!("{error}: {status}"));
        assert_eq!(status["ports"].as_str(), given, "{status}: {shown}");
        assert!(PORTS.map(Some).contains(&given), "{shown}");
        true
    }

    /// Puts in force what is listed, whatever was left.
    fn mend(&self, listed: Listed) {
        let attach = self.command(Cut::Attach, listed);
        process::run(attach, PATIENCE).successful();
    }

    /// The kernel holds this.
    fn assert_in_force(&self, listed: Listed) {
        let instance = Instance::new(self.filter.bpffs().path(), "test");
        let instance = instance.unwrap_or_else(|error| panic!("{error:#}"));
        let maps = RunningLists::open(&instance);
        let held = maps.and_then(|maps| maps.map(|maps| maps.dropped(List::Block)).transpose());
        let held = held.unwrap_or_else(|error| panic!("{error:#}"));
        let held: BTreeSet<_> = held
            .unwrap_or_default()
            .keys()
            .map(|prefix| Prefix::from(*prefix).to_string())
            .collect();
        assert!(
            held == listed.addresses(),
            "the kernel holds {} entries, which are not {listed:?}",
            held.len()
        );
    }
}

#[test]
fn what_is_kept_is_whole_whatever_is_killed_while_it_writes() {
    let link = Link::new();
    let world = World::new(&link);
    let mut listed = Listed {
        import: 0,
        change: false,
        configuration: 0,
    };
    world.mend(listed);
    process::run(world.command(Cut::Import, listed), PATIENCE).successful();
    let takes = KINDS.map(|cut| {
        listed = listed.after(cut);
        let command = world.command(cut, listed);
        let begun = Instant::now();
        process::run(command, PATIENCE).successful();
        begun.elapsed()
    });
    assert!(world.is_given_known());
    world.assert_in_force(listed);

    let mut random = Random::new(11);
    let mut outcomes = [[0; 2]; KINDS.len()];
    let mut mended = 0;
    let mut is_phone_allowed = false;
    for round in 0..CUTS {
        let cut = ORDER[round % ORDER.len()];
        // Half of the moments are near the end, where most is written.
        let per_mille = match round / ORDER.len() % 2 {
            0 => random.below(1100),
            _ => 800 + random.below(400),
        };
        let killed = Running::start(world.command(cut, listed.after(cut)));
        thread::sleep(takes[cut as usize].mul_f64(per_mille as f64 / 1000.0));
        killed.kill();
        let has_happened = world.has_happened(cut, listed);
        outcomes[cut as usize][usize::from(has_happened)] += 1;
        if has_happened {
            listed = listed.after(cut);
        }
        if !world.is_given_known() {
            mended += 1;
            world.mend(listed);
        }
        let next = match is_phone_allowed {
            true => format!("allow del {PHONE}"),
            false => format!("allow add {PHONE}"),
        };
        let done = world.filter.attempt(&next);
        if !done.status.success() {
            let is_told = done.stderr.contains("interrupted; attach it again first");
            assert!(is_told, "after {cut:?}: {done}");
            mended += 1;
            world.mend(listed);
            world.filter.succeed(&next);
        }
        is_phone_allowed = !is_phone_allowed;
        world.assert_in_force(listed);
    }
    println!("killed within {takes:?}: {outcomes:?} before and after, {mended} to be mended");
    let before: usize = outcomes.iter().map(|[before, _]| before).sum();
    assert!(before > 0, "{outcomes:?}: killed too late to matter");

    world.filter.succeed("reload");
    world.filter.detach();
    world.filter.assert_absent();
    let kept = fs::read_dir(world.filter.state()).unwrap_or_else(|error| panic!("{error}"));
    let kept = kept.flatten().map(|file| file.file_name());
    let kept: BTreeSet<_> = kept
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    let lists = ["test.db", "test.db-shm", "test.db-wal"].map(str::to_owned);
    assert!(
        kept.is_subset(&lists.into()),
        "left of what was killed: {kept:?}"
    );
}
