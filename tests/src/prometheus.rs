//! A Prometheus of a test's own, which asks every second, and promtool.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::Value;

use crate::{
    http::Client,
    namespace::{Folder, Namespace},
    process::{self, Finished, Running},
};

/// Where it answers, in its namespace.
const HERE: &str = "127.0.0.1:9090";
/// Where setup unpacks Debian's package, from this crate.
const UNPACKED: &str = "../.tools/prometheus/usr/bin";
const PATIENCE: Duration = Duration::from_secs(60);

/// What is installed, or what setup has unpacked.
fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join(UNPACKED);
    let mut folders = std::env::split_paths(&path).chain([unpacked]);
    match folders.find(|folder| folder.join(name).is_file()) {
        Some(folder) => folder.join(name),
        None => panic!("{name} is not here: `cargo xtask setup --for test` unpacks it"),
    }
}

/// promtool, with these arguments and this file as its input.
///
/// # Panics
///
/// If it is not here.
pub fn promtool(arguments: &[&str], input: &Path) -> Finished {
    let mut command = Command::new("sh");
    command
        .args(["-c", r#"input="$1"; shift; exec "$@" < "$input""#, "sh"])
        .arg(input)
        .arg(program("promtool"))
        .args(arguments);
    process::run(command, PATIENCE)
}

/// One that runs.
#[derive(Debug)]
pub struct Prometheus<'a> {
    client: Client<'a>,
    running: Running,
    _folder: Folder,
}

impl<'a> Prometheus<'a> {
    /// One in this namespace that asks `target` every second, in a job called sip-filter, with these
    /// rules; once it answers.
    ///
    /// # Panics
    ///
    /// If it is not here, or does not start.
    pub fn start(namespace: &'a Namespace, target: &str, rules: &Path) -> Self {
        let folder = Folder::new();
        let configuration = folder.path().join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}\n\
             rule_files: ['{}']\n\
             scrape_configs:\n- job_name: sip-filter\n  static_configs: [{{targets: ['{target}']}}]\n",
            rules.display()
        );
        if let Err(error) = fs::write(&configuration, text) {
            panic!("cannot write {}: {error}", configuration.display());
        }
        let mut command = namespace.command(program("prometheus"));
        command
            .arg("--config.file")
            .arg(&configuration)
            .arg("--storage.tsdb.path")
            .arg(folder.path().join("series"))
            .args(["--web.listen-address", HERE, "--log.level", "warn"])
            .current_dir(folder.path());
        let client = Client::new(namespace, HERE);
        let mut running = Running::start(command);
        running.wait_until("it is ready", PATIENCE, |_| {
            client.connect().is_ok() && client.get("/-/ready").status == 200
        });
        Self {
            client,
            running,
            _folder: folder,
        }
    }

    /// The values of a query's answer now, each with its labels.
    ///
    /// # Panics
    ///
    /// If it cannot be asked.
    pub fn query(&self, query: &str) -> Vec<(Value, f64)> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = self.client.get(&format!("/api/v1/query?query={encoded}"));
        let answer = answer.json();
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        let results = answer.pointer("/data/result").and_then(Value::as_array);
        let sample = |sample: &Value| {
            let value = sample.pointer("/value/1")?.as_str()?.parse().ok()?;
            Some((sample["metric"].clone(), value))
        };
        let results = results.into_iter().flatten();
        results.filter_map(sample).collect()
    }

    /// What it says of itself, as JSON.
    ///
    /// # Panics
    ///
    /// If it cannot be asked.
    pub fn get(&self, path: &str) -> Value {
        self.client.get(path).json()
    }

    /// Ends it.
    ///
    /// # Panics
    ///
    /// If it does not.
    pub fn stop(self) {
        self.running.interrupt(PATIENCE);
    }
}
