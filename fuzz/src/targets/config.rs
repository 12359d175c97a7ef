//! `bartizan.toml` (`broker/src/config/`): read whole or refused with one line.

use bartizan_broker::config::{Config, Trust};
use std::path::Path;

/// # Panics
/// When an error has more than one line, or a configuration that was taken is not within its limits.
pub fn target(data: &[u8]) {
    super::allowlist::with_directory(|directory| {
        super::allowlist::put(&directory.join("bartizan.toml"), data);
        super::allowlist::put(&directory.join("allowlist.toml"), super::allowlist::SMALL.as_bytes());
        judge(&directory.join("bartizan.toml"));
    });
}

/// Loads it, and looks at what came out.
pub(super) fn judge(path: &Path) {
    match Config::load(path, &Trust::single_user()) {
        Ok(config) => {
            assert!(
                config.state.is_absolute()
                    && config.control.is_absolute()
                    && config.bot.token_file.as_ref().is_none_or(|path| path.is_absolute())
            );
            assert!(config.limits.jobs > 0 && !config.bot.prefix.is_empty());
            for script in config.allowlist.iter() {
                assert!(script.path.is_absolute(), "{:?}", script.path);
                assert!(!script.timeout.is_zero());
            }
        }
        Err(error) => {
            let text = error.to_string();
            assert!(!text.is_empty());
            assert!(!text.chars().any(char::is_control), "an error with a control character: {text:?}");
        }
    }
}

/// The shipped configuration, with a token file that exists.
pub fn corpus() -> Vec<Vec<u8>> {
    let shipped = include_str!("../../../config/bartizan.toml").replace("/etc/bartizan/token", "token");
    let least = super::allowlist::CONFIG.as_bytes().to_vec();
    vec![shipped.into_bytes(), least]
}
