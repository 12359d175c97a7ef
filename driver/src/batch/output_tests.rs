//! What a job may do to its own output: nothing that has something else read.

use super::*;
use bartizan_proto::driver::Resources;
use bartizan_proto::{Bytes, List, Text};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

fn work(all: &Path) -> Batch {
    Batch {
        name: Text::cut("bartizan-train-0123"),
        submits: true,
        output_from: 0,
        comment: Text::default(),
        programs: Text::cut("/usr/bin"),
        config: Text::cut("/etc/slurm/slurm.conf"),
        output: Text::cut(all.display().to_string()),
        script: Bytes::new(Vec::new()).expect("small"),
        arguments: List::default(),
        environment: List::default(),
        resources: Resources::default(),
    }
}

#[test]
fn output_is_read_from_where_it_was_left_and_taken_away_at_the_end() {
    let all = tempfile::tempdir().expect("a folder");
    let work = work(all.path());
    let mut output = Output::new(&work).expect("open");
    assert!(!output.pump(), "there is nothing yet");
    let folder = output.make().expect("made");
    assert_eq!(fs::metadata(&folder).expect("there").permissions().mode() & 0o777, 0o700);
    fs::write(folder.join(OUTPUT), "one\n").expect("written");
    assert!(output.pump() && !output.pump());
    assert_eq!(output.from, 4);
    fs::write(folder.join(OUTPUT), "one\ntwo\n").expect("written");
    assert!(output.pump());
    assert_eq!(output.from, 8);
    fs::write(folder.join(END), "7\n").expect("written");
    assert_eq!(output.end(), Some(7));
    output.remove();
    assert!(!folder.exists());
}

#[test]
fn no_link_pipe_or_foreign_folder_is_followed() {
    let all = tempfile::tempdir().expect("a folder");
    let elsewhere = tempfile::tempdir().expect("a folder");
    fs::write(elsewhere.path().join(OUTPUT), "secret").expect("written");
    let work = work(all.path());
    let mut output = Output::new(&work).expect("open");
    let folder = output.make().expect("made");
    symlink(elsewhere.path().join(OUTPUT), folder.join(OUTPUT)).expect("a link");
    assert!(!output.pump(), "a link");
    fs::remove_file(folder.join(OUTPUT)).expect("gone");
    nix::unistd::mkfifo(&folder.join(OUTPUT), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    assert!(!output.pump(), "a pipe");
    fs::remove_file(folder.join(OUTPUT)).expect("gone");
    fs::remove_dir(&folder).expect("gone");
    symlink(elsewhere.path(), &folder).expect("a link");
    assert!(!output.pump() && output.make().is_err(), "a link in the folder's place");
    fs::remove_file(&folder).expect("gone");
    fs::create_dir(&folder).expect("made");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).expect("for everybody");
    assert!(output.make().is_err(), "others may write there");
}

/// A process that a job left behind, and that went on writing, kept its follower from ever coming to an end.
#[test]
fn what_goes_on_writing_after_the_end_is_not_followed_for_ever() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let all = tempfile::tempdir().expect("a folder");
    let work = work(all.path());
    let mut output = Output::new(&work).expect("open");
    let folder = output.make().expect("made");
    let mut file = File::create(folder.join(OUTPUT)).expect("made");
    fs::write(folder.join(END), "0\n").expect("written");
    let over = AtomicBool::new(false);
    let over = &over;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // Faster than it is handed on; not for ever, should this fail.
            let until = Instant::now() + Duration::from_secs(60);
            while !over.load(Ordering::Relaxed) && Instant::now() < until {
                let _full = file.write_all(b".");
            }
        });
        while fs::metadata(folder.join(OUTPUT)).map_or(0, |file| file.len()) == 0 {
            std::thread::yield_now();
        }
        let begun = Instant::now();
        output.settle(Duration::from_millis(10));
        over.store(true, Ordering::Relaxed);
        assert!(begun.elapsed() < Duration::from_secs(50), "{:?}", begun.elapsed());
    });
    assert!(output.from > 0);
}
