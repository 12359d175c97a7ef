//! Reading the configuration again (SIGHUP, `bartizan reload`). A file with a mistake changes nothing.
//!
//! What the processes were started with stays until a restart: server, bot, state and control directory. A script in a
//! folder that the core could not read when it confined itself is refused at its start, and the log says so.

use super::{Core, CoreError};
use crate::audit::Record;
use crate::config::Config;
use crate::job::sandbox;
use bartizan_proto::Text;
use bartizan_proto::control::Answer;

impl Core {
    /// An operator has it read again: what changed, or why nothing did.
    pub(super) fn reload_for_host(&mut self) -> Result<Answer, CoreError> {
        let mut report = self.check_config();
        let kept = self.reload()?;
        report.error = kept.map(Text::cut).or(report.error);
        Ok(Answer::Config(report))
    }

    /// Loads the file again. The new policy is in force when every name in it is resolved; until then the old one is. Why the old
    /// one stays, if it does.
    pub(crate) fn reload(&mut self) -> Result<Option<String>, CoreError> {
        self.manager_reloads()?;
        let mut new = match Config::load(&self.config.path, self.opener.trust()) {
            Ok(new) => new,
            Err(error) => {
                tracing::error!(%error, "the configuration is not changed");
                self.record(&Record::Reload { differences: Vec::new(), error: Some(error.to_string()) });
                return Ok(Some(error.to_string()));
            }
        };
        if let Some(why) = sandbox::lacks(&new, &self.given, &self.layers) {
            tracing::error!(why, "the configuration is not changed");
            self.record(&Record::Reload { differences: Vec::new(), error: Some(why.clone()) });
            return Ok(Some(why));
        }
        let differences = self.config.differences(&new);
        let old = &self.config;
        if new.server != old.server
            || new.bot != old.bot
            || new.state != old.state
            || (&new.control, &new.operators) != (&old.control, &old.operators)
            || (&new.read, &new.readers) != (&old.read, &old.readers)
        {
            tracing::warn!("server, bot, state and control need a restart; the rest is taken over");
        }
        new.server = old.server.clone();
        new.bot = old.bot.clone();
        new.state.clone_from(&old.state);
        new.control.clone_from(&old.control);
        new.operators.clone_from(&old.operators);
        new.read.clone_from(&old.read);
        new.readers.clone_from(&old.readers);
        new.addresses.clone_from(&old.addresses);
        tracing::info!(changes = differences.len(), "the configuration was read again");
        self.record(&Record::Reload { differences, error: None });
        self.config = new;
        self.look_up()?;
        Ok(None)
    }
}
