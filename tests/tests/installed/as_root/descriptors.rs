//! Which files each process has open: what its role needs, nothing that the caller left, nothing of the state.

use bartizan_tests::house::seen;
use bartizan_tests::installed::{INVOKER, Place};
use std::fs;

/// What a process has open, by what the kernel calls it.
fn open(pid: u32) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    entries.filter_map(|entry| fs::read_link(entry.path()).ok()).map(|to| to.to_string_lossy().into_owned()).collect()
}

#[test]
fn row_04_and_38_each_process_has_the_documented_descriptors_only() {
    let Some(place) = Place::install() else { return };
    let mut command = INVOKER.command("/bin/bash");
    command.args(["-c", "exec 3</etc/passwd 9</etc/passwd 57</etc/passwd; exec \"$0\""]).arg(place.broker());
    let mut running = place.start_with(command);
    running.works();
    let processes = running.processes();
    let state = place.path("var/lib/bartizan/state").to_string_lossy().into_owned();
    let log = place.path("log").to_string_lossy().into_owned();
    for pid in processes.all() {
        let core = pid == processes.core;
        for file in open(pid) {
            assert_ne!(file, "/etc/passwd", "{}", seen::name(pid));
            let plain = file == "/dev/null" || file == log || file.starts_with("socket:");
            // Event loops, signals and processes by descriptor; pipes between a worker and its own.
            let own =
                ["anon_inode:", "pipe:", "/memfd:secretmem", "/secretmem"].iter().any(|start| file.starts_with(start));
            let of_core = core && (file.starts_with(&state) || file.starts_with("/proc/"));
            // A worker that waits for its order holds the private root that it will enter; a script has it no more.
            let of_worker = processes.workers.contains(&pid) && (file == "/" || file.starts_with("/proc/"));
            assert!(plain || own || of_core || of_worker, "{} {pid} has {file}", seen::name(pid));
        }
    }
}

#[test]
fn row_38_a_script_has_its_input_and_output_only() {
    let Some(place) = Place::install() else { return };
    place.script("fds", "#!/bin/bash\ncd /proc/self/fd; for f in *; do echo \"[$f]\"; done\n");
    let mut running = place.start();
    let reply = running.ask("carol", "!fds");
    // 255 is the script itself, held by bash; 3 the listing of this very directory.
    for line in reply.lines().filter(|line| line.contains('[')) {
        assert!(["[0]", "[1]", "[2]", "[3]", "[255]"].iter().any(|known| line.contains(known)), "{reply}");
    }
    assert!(reply.contains("[0]") && reply.contains("[2]"), "{reply}");
}
