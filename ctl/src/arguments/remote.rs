//! The command line about other machines.

use bartizan_proto::ids::{SecretName, TargetName};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// About other machines.
#[derive(Debug, Subcommand)]
pub enum Remote {
    /// List the targets of the configuration
    List,
    /// Print the public key whose orders other machines take: the whole of their broker.pub
    Key,
    /// Print what to install on a machine, and what to write into bartizan.toml
    #[command(
        after_help = "Example: bartizan remote enroll web-1 --host 10.0.0.5 --user deploy --key ssh/deploy --host-key-from web-1.pub\n\
                      The host key comes from that machine's console, or is compared with it: nothing is trusted because it came first."
    )]
    Enroll(Enrol),
    /// Exchange the key that signs orders: make the next one and print what to install, then switch
    RotateKey {
        /// Sign with the next key from now on: all targets have it. The one before is gone
        #[arg(long, conflicts_with = "withdraw")]
        switch: bool,
        /// Give the next key up
        #[arg(long)]
        withdraw: bool,
    },
}

/// Which machine.
#[derive(Debug, Args)]
pub struct Enrol {
    /// Its name; of a target that the configuration has, the rest is known
    #[arg(value_name = "NAME")]
    pub name: TargetName,
    /// Its address, or a name that can be looked up
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
    /// The port of its SSH daemon [default: 22]
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// The account there: an ordinary user's
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// The secret with the private key that logs in there
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub key: Option<SecretName>,
    /// Its public host keys: a .pub file of its /etc/ssh, or what ssh-keyscan prints; - is standard input
    #[arg(long, value_name = "FILE")]
    pub host_key_from: Option<PathBuf>,
}
