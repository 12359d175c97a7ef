//! A program in the place of a Bartizan process: it hands its first channel to the test that put it there.
//!
//! It connects to `puppets.sock` beside itself and gives its descriptor 0 away. Where nobody listens, or the test wants
//! none of it, it becomes the real program, `real/NAME` beside itself. See `bartizan_tests::house::puppet`.

use bartizan_proto::channel::Channel;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let program = std::env::current_exe().unwrap_or_default();
    let folder = program.parent().unwrap_or(Path::new("/")).to_owned();
    if !was_taken(&folder, &program) {
        let real: PathBuf = folder.join("real").join(program.file_name().unwrap_or_default());
        let error = Command::new(real).env_clear().exec();
        eprintln!("puppet: the real program does not start: {error}");
        std::process::exit(1);
    }
}

/// Whether the test took the channel and is done with it.
fn was_taken(folder: &Path, program: &Path) -> bool {
    let Ok(socket) = UnixStream::connect(folder.join("puppets.sock")) else { return false };
    let mut test = Channel::from(socket);
    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if test.send_with(&name, &[std::io::stdin().as_fd()]).is_err() || !matches!(test.receive(), Ok(Some(true))) {
        return false;
    }
    // The test has the only end now: closing it there closes it.
    let given_up = std::fs::File::open("/dev/null").is_ok_and(|null| rustix::stdio::dup2_stdin(&null).is_ok());
    // Until the test is done, or the launcher kills this process.
    let _end = test.receive::<bool>();
    given_up
}
