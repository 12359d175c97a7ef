//! Where an installation's parts are, seen from its programs: pure path words, no file is looked at.
//!
//! A setuid broker must find its configuration without being told by its caller, and `bartizan` must find the service's
//! socket. Both start from the place of their own program, which `make install` put into `PREFIX/libexec/bartizan`.

use std::path::{Path, PathBuf};

/// The folder of the programs, below the prefix.
const PROGRAMS: &str = "libexec/bartizan";

/// Where systems keep the CA certificates they trust: Debian, Fedora and RHEL, SUSE, Alpine.
pub const SYSTEM_CA_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// An installation's paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// `PREFIX/libexec/bartizan`: all programs.
    pub programs: PathBuf,
    /// `ROOT/etc/bartizan/bartizan.toml`.
    pub config: PathBuf,
    /// `ROOT/var/lib/bartizan/control`: where `control.sock` is, unless the configuration says otherwise.
    pub control: PathBuf,
    /// `ROOT/var/lib/bartizan/read`: where `read.sock` is, unless the configuration says otherwise.
    pub read: PathBuf,
}

impl Installation {
    /// The installation that a program belongs to, by its absolute path without links. `None` for one that is somewhere
    /// else, as in a build folder. ROOT is the prefix, but for `/usr`, whose configuration is in `/etc`.
    pub fn of_program(program: &Path) -> Option<Self> {
        let programs = program.parent()?;
        let prefix = programs.ancestors().nth(2)?;
        if !program.is_absolute() || prefix.join(PROGRAMS) != programs {
            return None;
        }
        let root = if prefix.ends_with("usr") { prefix.parent()? } else { prefix };
        Some(Self {
            programs: programs.to_owned(),
            config: root.join("etc/bartizan/bartizan.toml"),
            control: root.join("var/lib/bartizan/control"),
            read: root.join("var/lib/bartizan/read"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config_of(program: &str) -> Option<PathBuf> {
        Installation::of_program(Path::new(program)).map(|found| found.config)
    }

    #[test]
    fn the_configuration_is_found_from_the_programs_place() {
        for (program, config) in [
            ("/usr/libexec/bartizan/bartizan-broker", "/etc/bartizan/bartizan.toml"),
            ("/usr/local/libexec/bartizan/bartizan-broker", "/usr/local/etc/bartizan/bartizan.toml"),
            ("/opt/b/libexec/bartizan/bartizan", "/opt/b/etc/bartizan/bartizan.toml"),
            ("/stage/usr/libexec/bartizan/bartizan", "/stage/etc/bartizan/bartizan.toml"),
            ("/libexec/bartizan/bartizan", "/etc/bartizan/bartizan.toml"),
        ] {
            assert_eq!(config_of(program), Some(PathBuf::from(config)), "{program}");
        }
    }

    #[test]
    fn a_program_in_any_other_folder_belongs_to_no_installation() {
        for program in
            ["/home/a/target/debug/bartizan", "/bartizan", "libexec/bartizan/bartizan", "/usr/bin/bartizan", "/"]
        {
            assert_eq!(config_of(program), None, "{program}");
        }
    }
}
