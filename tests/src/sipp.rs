//! sipp with a scenario of the test's own: who is called, under which name, and what came of it.

use std::{fs, path::Path, time::Duration};

use crate::{
    namespace::{Folder, Namespace, SERVER},
    process::{self, Finished},
    tools,
};

/// How long a run may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The User-Agent of [`Scenario::register`], which is none of a tool's.
pub const USER_AGENT: &str = "Example Phone 2.1";

/// What sipp plays, one call after the other.
#[derive(Debug)]
pub struct Scenario {
    folder: Folder,
}

/// How a scenario is played.
#[derive(Clone, Copy, Debug)]
pub struct Play<'a> {
    /// The address that it is played from.
    pub from: &'a str,
    /// The port of the server.
    pub port: u16,
    /// How many calls.
    pub calls: u32,
    /// How many of them begin in a second.
    pub rate: u32,
}

impl Scenario {
    /// A REGISTER for one user after the other, in a dialogue with nobody, that takes the answer which
    /// [`Registrar`](crate::registrar::Registrar) gives where there is no such user. A call that has
    /// none within half a second has failed.
    ///
    /// # Panics
    ///
    /// If a file cannot be written, as for all that follow.
    pub fn register(users: impl IntoIterator<Item = u32>) -> Self {
        let lines: String = users.into_iter().map(|user| format!("{user};\n")).collect();
        Self::new(&format!(
            r#"<?xml version="1.0" encoding="UTF-8"?>
<scenario name="register">
  <send>
    <![CDATA[

      REGISTER sip:[remote_ip] SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      Max-Forwards: 70
      From: <sip:[field0]@[remote_ip]>;tag=[call_number]
      To: <sip:[field0]@[remote_ip]>
      Call-ID: [call_id]
      CSeq: 1 REGISTER
      Contact: <sip:[field0]@[local_ip]:[local_port]>
      User-Agent: {USER_AGENT}
      Content-Length: 0

    ]]>
  </send>
  <recv response="404" timeout="500"/>
</scenario>
"#
        ))
        .with_users(&lines)
    }

    /// The calls of sipp's own scenario `uac`, each to another extension.
    ///
    /// # Panics
    ///
    /// As above, or if sipp does not say what its scenario is.
    pub fn calls(namespace: &Namespace) -> Self {
        let own = tools::run(namespace, "sipp -sd uac");
        let place = "[service]";
        assert!(own.stdout.contains(place), "no callee: {own}");
        Self::new(&own.stdout.replace(place, "2[call_number]"))
    }

    fn new(text: &str) -> Self {
        let scenario = Self {
            folder: Folder::new(),
        };
        scenario.write("scenario.xml", text);
        scenario
    }

    fn with_users(self, lines: &str) -> Self {
        self.write("users.csv", &format!("SEQUENTIAL\n{lines}"));
        self
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        if let Err(error) = fs::write(&path, text) {
            panic!("cannot write {}: {error}", path.display());
        }
    }

    /// Plays it against [`SERVER`] to its end. Nothing is sent twice, so that a call fails for every
    /// packet that is lost.
    ///
    /// # Panics
    ///
    /// If sipp is not installed, takes too long, or does not say what came of it.
    pub fn play(&self, namespace: &Namespace, play: Play<'_>) -> Outcome {
        let Play {
            from,
            port,
            calls,
            rate,
        } = play;
        let path = |name: &str| self.folder.path().join(name);
        let users = path("users.csv");
        let injected = match Path::exists(&users) {
            true => format!("-inf {}", users.display()),
            false => String::new(),
        };
        // Calls that wait for an answer in vain do not keep others from beginning.
        let line = format!(
            "sipp -sf {} {injected} {SERVER}:{port} -i {from} -m {calls} -r {rate} -l {calls} -d 50 \
             -nr -recv_timeout 5000 -buff_size 1000000 -timeout 40 -nostdin",
            path("scenario.xml").display()
        );
        let finished = process::run(tools::command(namespace, &line), PATIENCE);
        Outcome::of(&finished)
    }
}

/// What came of the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Calls that went as the scenario says.
    pub succeeded: u32,
    /// Calls that did not.
    pub failed: u32,
}

impl Outcome {
    fn of(finished: &Finished) -> Self {
        let count = |what: &str| {
            let line = finished
                .stdout
                .lines()
                .rev()
                .find(|line| line.contains(what));
            let count = line.and_then(|line| line.split('|').nth(2));
            match count.and_then(|count| count.trim().parse().ok()) {
                Some(count) => count,
                None => panic!("sipp does not say '{what}': {finished}"),
            }
        };
        Self {
            succeeded: count("Successful call"),
            failed: count("Failed call"),
        }
    }
}
