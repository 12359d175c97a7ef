//! What may be asked of `bartizan-broker` on its command line.
//!
//! The caller is not trusted: under setuid a different user than the service's. So there is no parser to attack, only
//! exact words, and where the caller may not choose the configuration there is no such option.

use bartizan_proto::control::Mode;
use bartizan_proto::text::printable;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// What `--help` prints where the caller may choose the configuration.
const HELP: &str = "\
Bartizan's service: runs approved scripts that people ask for in chat.

Usage: bartizan-broker [--units FOLDER] --config FILE [--check-config | --trial NAME ARGUMENT...]

Options:
  --units FOLDER   in a unit of systemd's, first: where the sockets are behind which it starts each process
  --config FILE    the configuration, bartizan.toml
  --check-config   read the configuration, say what is wrong with it, and exit
  --trial NAME …   print the order that a script and its arguments make, and exit (`bartizan script try`)
  --version        print the version and exit
  --help           print this and exit

It stays in the foreground and logs to standard error. SIGTERM ends it in order; SIGHUP reads the configuration again.
Exit codes: 0 ended in order, 1 could not start or something failed, 2 the command line or the configuration is wrong.
";

/// The first word where systemd starts each process.
const UNITS: &str = "--units";

/// Where systemd listens for each role, if the caller says that it does.
///
/// # Errors
/// [`UsageError::NoUnits`].
pub fn units(arguments: &[OsString]) -> Result<Option<PathBuf>, UsageError> {
    match arguments {
        [first, rest @ ..] if first == UNITS => match rest.first().map(PathBuf::from) {
            // A launcher is given it as a word.
            Some(folder) if folder.is_absolute() && folder.to_str().is_some() => Ok(Some(folder)),
            Some(_) | None => Err(UsageError::NoUnits),
        },
        [..] => Ok(None),
    }
}

/// What it prints where root has chosen it.
const HELP_INSTALLED: &str = "\
Bartizan's service: runs approved scripts that people ask for in chat.

Usage: bartizan-broker [--check-config | --trial NAME ARGUMENT...]

Options:
  --check-config   read the configuration, say what is wrong with it, and exit
  --trial NAME …   print the order that a script and its arguments make, and exit (`bartizan script try`)
  --version        print the version and exit
  --help           print this and exit

It is installed setuid, so that its configuration is the installation's (etc/bartizan/bartizan.toml) and no other.
It stays in the foreground and logs to standard error. SIGTERM ends it in order; SIGHUP reads the configuration again.
Exit codes: 0 ended in order, 1 could not start or something failed, 2 the command line or the configuration is wrong.
";

/// The help for a mode.
pub fn help(mode: Mode) -> &'static str {
    match mode {
        Mode::SingleUser | Mode::Systemd => HELP,
        Mode::Setuid => HELP_INSTALLED,
    }
}

/// The command line is not one of ours.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// Not an option.
    #[error("{0}: no such option; see bartizan-broker --help")]
    Unknown(String),
    /// Given twice.
    #[error("{0} is given twice")]
    Twice(&'static str),
    /// No configuration.
    #[error("no configuration is named; start it as `bartizan-broker --config FILE`")]
    NoConfig,
    /// No folder, or not first.
    #[error("--units needs the absolute path of a folder")]
    NoUnits,
    /// The option has no value.
    #[error("--config needs the path of a file")]
    NoValue,
    /// No script, or a word that is no text.
    #[error("--trial needs a script's name, and arguments that are text")]
    NoScript,
    /// The caller's own directory is not there, so a relative path means nothing.
    #[error("{0}: a relative path, and the current directory cannot be read; name the file by its absolute path")]
    Relative(PathBuf),
}

/// A command line that makes sense.
#[derive(Debug, PartialEq, Eq)]
pub enum Arguments {
    /// Print the help.
    Help,
    /// Print the version.
    Version,
    /// Do something with a configuration.
    Task(Task),
}

/// What to do with which configuration.
#[derive(Debug, PartialEq, Eq)]
pub enum Task {
    /// Run the service.
    Serve(Named),
    /// Check it only.
    Check(Named),
    /// Say what order it makes of a script's name and arguments.
    Trial(Named, Vec<String>),
}

/// The configuration as the caller named it; not at all where that is not the caller's to say.
#[derive(Debug, PartialEq, Eq)]
pub struct Named(Option<PathBuf>);

impl Arguments {
    /// Reads the arguments after `argv[0]`.
    ///
    /// # Errors
    /// [`UsageError`].
    pub fn parse(arguments: &[OsString], mode: Mode) -> Result<Self, UsageError> {
        let caller_chooses = match mode {
            Mode::SingleUser | Mode::Systemd => true,
            Mode::Setuid => false,
        };
        let (mut config, mut check, mut trial) = (None, false, None);
        let taken = match mode {
            // `units` has read these two.
            Mode::Systemd => 2,
            Mode::SingleUser | Mode::Setuid => 0,
        };
        let mut rest = arguments.iter().skip(taken).map(OsString::as_os_str);
        while let Some(argument) = rest.next() {
            match argument.to_str() {
                Some("--help") => return Ok(Self::Help),
                Some("--version") => return Ok(Self::Version),
                Some("--check-config") if check => return Err(UsageError::Twice("--check-config")),
                Some("--check-config") => check = true,
                Some("--trial") => {
                    // Everything after it belongs to the script.
                    let words: Option<Vec<String>> =
                        rest.by_ref().map(|word| word.to_str().map(str::to_owned)).collect();
                    trial = Some(words.filter(|words| !words.is_empty()).ok_or(UsageError::NoScript)?);
                }
                Some("--config") if caller_chooses => {
                    let value = rest.next().filter(|value| !value.is_empty()).ok_or(UsageError::NoValue)?;
                    if config.replace(PathBuf::from(value)).is_some() {
                        return Err(UsageError::Twice("--config"));
                    }
                }
                Some(_) | None => return Err(UsageError::Unknown(shown(argument))),
            }
        }
        if caller_chooses && config.is_none() {
            return Err(UsageError::NoConfig);
        }
        let config = Named(config);
        Ok(Self::Task(match trial {
            Some(_) if check => return Err(UsageError::Twice("a task")),
            Some(words) => Task::Trial(config, words),
            None if check => Task::Check(config),
            None => Task::Serve(config),
        }))
    }
}

impl Task {
    /// The configuration's path, as seen from the directory that the caller was in.
    ///
    /// # Errors
    /// [`UsageError::Relative`] when that directory is not known; [`UsageError::NoConfig`] when none was named.
    pub fn config(&self, callers_directory: Option<&Path>) -> Result<PathBuf, UsageError> {
        let (Self::Serve(Named(path)) | Self::Check(Named(path)) | Self::Trial(Named(path), _)) = self;
        let path = path.as_ref().ok_or(UsageError::NoConfig)?;
        match callers_directory {
            _ if path.is_absolute() => Ok(path.clone()),
            Some(directory) => Ok(directory.join(path)),
            None => Err(UsageError::Relative(path.clone())),
        }
    }
}

/// The caller's word in an error: inert on a terminal, and not longer than a line.
fn shown(argument: &OsStr) -> String {
    printable(&argument.to_string_lossy().chars().take(64).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(words: &[&str]) -> Result<Arguments, UsageError> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        Arguments::parse(&words, Mode::SingleUser)
    }

    #[test]
    fn a_configuration_is_served_or_checked() {
        let named = || Named(Some("a.toml".into()));
        assert_eq!(parse(&["--config", "a.toml"]), Ok(Arguments::Task(Task::Serve(named()))));
        assert_eq!(parse(&["--check-config", "--config", "a.toml"]), Ok(Arguments::Task(Task::Check(named()))));
    }

    #[test]
    fn units_are_named_first_and_by_an_absolute_path() {
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        let all = words(&["--units", "/run/u", "--config", "/a.toml"]);
        assert_eq!(units(&all), Ok(Some("/run/u".into())));
        let named = Named(Some("/a.toml".into()));
        assert_eq!(Arguments::parse(&all, Mode::Systemd), Ok(Arguments::Task(Task::Serve(named))));
        assert_eq!(units(&words(&["--config", "/a.toml", "--units", "/run/u"])), Ok(None));
        for wrong in [&["--units"][..], &["--units", "run/u"], &["--units", ""]] {
            assert_eq!(units(&words(wrong)), Err(UsageError::NoUnits));
        }
        assert_eq!(parse(&["--config", "a", "--units", "/run/u"]), Err(UsageError::Unknown("--units".into())));
    }

    #[test]
    fn a_trial_takes_all_words_that_follow() {
        let words = ["hello", "--config", "x"].map(str::to_owned).to_vec();
        let task = Task::Trial(Named(Some("a.toml".into())), words);
        assert_eq!(parse(&["--config", "a.toml", "--trial", "hello", "--config", "x"]), Ok(Arguments::Task(task)));
        assert_eq!(parse(&["--config", "a.toml", "--trial"]), Err(UsageError::NoScript));
        assert_eq!(parse(&["--check-config", "--config", "a", "--trial", "x"]), Err(UsageError::Twice("a task")));
    }

    #[test]
    fn what_is_not_an_option_is_refused() {
        assert_eq!(parse(&["--confg", "x"]), Err(UsageError::Unknown("--confg".into())));
        assert_eq!(parse(&["--config=x"]), Err(UsageError::Unknown("--config=x".into())));
        assert_eq!(parse(&["--config"]), Err(UsageError::NoValue));
        assert_eq!(parse(&["--config", "a", "--config", "b"]), Err(UsageError::Twice("--config")));
        assert_eq!(parse(&[]), Err(UsageError::NoConfig));
    }

    #[test]
    fn under_setuid_the_caller_cannot_name_a_configuration() {
        // CVE-2025-32463: a setuid program let its caller choose the root it read its configuration from.
        let words = [OsString::from("--config"), OsString::from("/tmp/mine.toml")];
        assert_eq!(Arguments::parse(&words, Mode::Setuid), Err(UsageError::Unknown("--config".into())));
        assert_eq!(Arguments::parse(&[], Mode::Setuid), Ok(Arguments::Task(Task::Serve(Named(None)))));
        assert!(!help(Mode::Setuid).contains("--config "));
    }

    #[test]
    fn a_relative_path_is_the_callers() {
        let named = |path: &str| Task::Serve(Named(Some(path.into())));
        let task = named("a.toml");
        assert_eq!(task.config(Some(Path::new("/srv"))), Ok(PathBuf::from("/srv/a.toml")));
        assert_eq!(task.config(None), Err(UsageError::Relative("a.toml".into())));
        assert_eq!(named("/a.toml").config(None), Ok(PathBuf::from("/a.toml")));
    }

    proptest! {
        /// CVE-2021-3156: a heap overflow in a setuid program's reading of its own arguments.
        #[test]
        fn no_command_line_makes_it_panic(words in prop::collection::vec(prop::collection::vec(1u8.., 0..20), 0..6)) {
            use std::os::unix::ffi::OsStringExt;
            let words: Vec<OsString> = words.into_iter().map(OsString::from_vec).collect();
            let _either = Arguments::parse(&words, Mode::SingleUser);
        }
    }
}
