//! `[http]`: who is answered with figures and the page.

use super::reader::{Reader, Table};
use crate::config::{
    configuration::{Http, Origin, Set},
    listen::Listen,
};

pub(super) const KEYS: [&str; 2] = ["listen", "token_file"];

impl<'a> Reader<'a> {
    pub(super) fn http(&mut self, table: &Table<'a>, into: &mut Http) {
        self.check_keys(table, &KEYS);
        let mut listen = Set::default(Listen::LOOPBACK);
        self.parsed(table, "listen", "\"127.0.0.1:9060\"", &mut listen);
        if let Origin::Line(line) = listen.origin {
            if !listen.value.is_loopback() && table.get("token_file").is_none() {
                let what = "`http.listen` is reached by others than this machine, and nothing is \
                            asked of them; set `http.token_file`, or listen on 127.0.0.1";
                self.wrong(line, what.to_owned());
            }
            into.listen = Set {
                value: Some(listen.value),
                origin: listen.origin,
            };
        }
        self.file(table, "token_file", "\"http-token\"", &mut into.token_file);
    }
}
