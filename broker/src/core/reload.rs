//! Reading the configuration again (SIGHUP). A file with a mistake changes nothing.
//!
//! What the processes were started with stays until a restart: server, bot, state and control directory. A script in a
//! folder that the core could not read when it confined itself is refused at its start, and the log says so.

use super::{Core, CoreError};
use crate::audit::Record;
use crate::config::Config;
use crate::job::sandbox;

impl Core {
    /// Loads the file again. The new policy is in force when every name in it is resolved; until then the old one is.
    pub(crate) fn reload(&mut self) -> Result<(), CoreError> {
        self.manager_reloads()?;
        let mut new = match Config::load(&self.config.path, self.opener.trust()) {
            Ok(new) => new,
            Err(error) => {
                tracing::error!(%error, "the configuration is not changed");
                self.record(&Record::Reload { differences: Vec::new(), error: Some(error.to_string()) });
                return Ok(());
            }
        };
        if let Some(why) = sandbox::lacks(&new, &self.given, &self.layers) {
            tracing::error!(why, "the configuration is not changed");
            self.record(&Record::Reload { differences: Vec::new(), error: Some(why) });
            return Ok(());
        }
        let differences = self.config.differences(&new);
        let old = &self.config;
        if new.server != old.server
            || new.bot != old.bot
            || new.state != old.state
            || (&new.control, &new.operators) != (&old.control, &old.operators)
        {
            tracing::warn!("server, bot, state and control need a restart; the rest is taken over");
        }
        new.server = old.server.clone();
        new.bot = old.bot.clone();
        new.state.clone_from(&old.state);
        new.control.clone_from(&old.control);
        new.operators.clone_from(&old.operators);
        new.addresses.clone_from(&old.addresses);
        tracing::info!(changes = differences.len(), "the configuration was read again");
        self.record(&Record::Reload { differences, error: None });
        self.config = new;
        self.look_up()
    }
}
