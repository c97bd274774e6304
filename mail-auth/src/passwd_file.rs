//! The driver `passwd-file`: users in a text file, a line each, `user:password:uid:gid:gecos:home:shell:extra fields`.
//!
//! The same file serves passdb and userdb. Extra fields whose name begins with `userdb_` are the userdb's, all others
//! the passdb's. The format is that of Dovecot's passwd-file, as mail-auth(8) describes it.

mod entry;
mod files;

use std::io::ErrorKind;

use expand::{NoHome, Template, Wrong};
use thiserror::Error;

pub(crate) use entry::Entry;
pub(crate) use files::{Files, Problem};

use crate::fields::text;
use crate::query::Query;
use crate::scheme::{Scheme, Unusable};

/// Where the file is, and how it is asked.
#[derive(Debug)]
pub(crate) struct PasswdFile {
    /// What a password without a scheme in front is.
    pub(crate) scheme: Scheme,
    username: Option<Template>,
    path: Template,
}

/// Why arguments are none of this driver.
#[derive(Debug, Error)]
pub(crate) enum BadArguments {
    #[error("the path of the file is missing")]
    NoPath,
    #[error(transparent)]
    Scheme(#[from] Unusable),
    #[error(transparent)]
    Variable(#[from] Wrong),
}

impl PasswdFile {
    /// Reads `[scheme=NAME] [username_format=TEMPLATE] PATH`.
    pub(crate) fn parse(arguments: &str) -> Result<Self, BadArguments> {
        let mut scheme = Scheme::Hashed;
        let mut username = None;
        let mut rest = arguments.trim();
        loop {
            let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
            if let Some(name) = word.strip_prefix("scheme=") {
                scheme = name.parse()?;
            } else if let Some(format) = word.strip_prefix("username_format=") {
                username = Some(Template::parse(format)?);
            } else {
                break;
            }
            rest = after.trim_start();
        }
        if rest.is_empty() {
            return Err(BadArguments::NoPath);
        }
        Ok(Self { scheme, username, path: Template::parse(rest)? })
    }

    /// Reads the file before somebody asks for it, so that what is wrong with it is in the log from the start.
    pub(crate) fn preload(&self, files: &mut Files) {
        if self.path.text().contains('%') {
            return;
        }
        if let Err(problem) = files.find(self.path.text(), "") {
            log::error!("passwd-file: {problem}");
        }
    }

    /// The line of the user that `query` is about; none if he has none.
    ///
    /// # Errors
    /// [`Problem`]: whether he has one can't be said.
    pub(crate) fn find<'a>(&self, files: &'a mut Files, query: &Query) -> Result<Option<Entry<'a>>, Problem> {
        let (path, user) = query.with_variables(None, |variables| {
            let user = self.username.as_ref().map(|format| format.expand(variables)).transpose()?;
            Ok::<_, NoHome>((text(self.path.expand(variables)?), user.map(text)))
        })?;
        // A file for each domain: one that is not there is a domain that is not here.
        let may_be_absent = path != self.path.text();
        match files.find(&path, user.as_ref().unwrap_or(&query.user)) {
            Err(Problem::Read { error, .. }) if may_be_absent && error.kind() == ErrorKind::NotFound => {
                Ok(None)
            }
            found => found,
        }
    }
}
