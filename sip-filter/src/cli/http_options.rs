//! The options that say where `run` answers HTTP, and whom. They win over the configuration file.

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::Usage;
use crate::{
    config::{configuration::Http, listen::Listen},
    http::Bound,
};

/// Where HTTP is answered, and whom.
#[derive(Debug, clap::Args)]
pub(super) struct HttpOptions {
    /// Answer HTTP there: /metrics, a page, JSON; 9060 is a port of this machine alone
    /// [default: nowhere]
    ///
    /// /metrics is for Prometheus, / is a page that shows what arrives, /healthz says whether the filter
    /// is attached, and /api/v1/stats is what `stats --format json` prints. An address that others than
    /// this machine reach, as in 192.0.2.10:9060, asks for --http-token-file. It holds until `run` ends:
    /// a reload does not change it.
    #[arg(long, value_name = "ADDR")]
    http: Option<Listen>,
    /// Answer HTTP only to those who know the token in this file
    ///
    /// As "Authorization: Bearer TOKEN", or as the password of whatever user a browser asks for. The
    /// token is not encrypted on its way: where others can listen, put a proxy with TLS in front.
    #[arg(long, value_name = "FILE")]
    http_token_file: Option<PathBuf>,
}

impl HttpOptions {
    /// Takes the address where HTTP is to be answered by these options and the file, if anywhere.
    pub(super) fn bind(&self, file: Http) -> Result<Option<Bound>> {
        let Http {
            mut listen,
            mut token_file,
        } = file;
        listen.command_line(self.http.map(Some));
        token_file.command_line(self.http_token_file.clone().map(Some));
        match listen.value {
            Some(listen) => Ok(Some(Bound::new(listen, token_file.value.as_deref())?)),
            None if self.http_token_file.is_some() => {
                let what = "--http-token-file says what is asked for, and --http where; give both";
                bail!(Usage(what.to_owned()))
            }
            None => Ok(None),
        }
    }
}
