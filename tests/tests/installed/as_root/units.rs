//! An installed service in what systemd's unit gives it: no capability to be had, everything read-only but its own folder.

use bartizan_tests::installed::{INVOKER, Place, skip};
use std::fs;
use std::process::Command;

#[test]
fn the_service_works_in_the_mounts_and_without_the_capabilities_that_its_unit_leaves_it() {
    let Some(place) = Place::install() else { return };
    let var = place.path("var/lib/bartizan").display().to_string();
    // What ProtectSystem=strict, ReadWritePaths=, PrivateMounts= and CapabilityBoundingSet= come to.
    let deed = format!(
        "mount --make-rprivate / && mount --bind {var} {var} || exit 77
         awk '{{print $5}}' /proc/self/mountinfo | grep -vE '^/(proc|sys|dev)(/|$)' | while read -r m; do mount -o remount,bind,ro \"$m\" 2>/dev/null; done
         mount -o remount,bind,rw {var} || exit 77
         touch /usr/.bartizan-test 2>/dev/null && exit 78
         ulimit -c 0; umask 077
         exec setpriv --reuid={} --regid={} --clear-groups --bounding-set=-all --inh-caps=-all -- {}",
        INVOKER.uid,
        INVOKER.gid,
        place.broker().display()
    );
    let command = |deed: &str| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--", "bash", "-c", deed]);
        command
    };
    if !command("mount --make-rprivate /").status().is_ok_and(|status| status.success()) {
        return skip("no mount namespace can be made here");
    }
    let mut running = place.start_with(command(&deed));
    running.works();
    assert!(running.ask("carol", "!run hello").contains("exit 0"));
    for pid in running.processes().all() {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        assert!(status.contains("NoNewPrivs:\t1"), "each takes it for itself: {status}");
    }
}

#[test]
fn an_installation_has_its_units_filled_in() {
    let Some(place) = Place::install() else { return };
    let units = place.path("lib/systemd/system");
    let read = |unit: &str| fs::read_to_string(units.join(unit)).expect("installed");
    let service = read("bartizan.service");
    assert!(
        service.contains("sbin/bartizan-broker\n") && service.contains(&format!("User={}\n", INVOKER.uid)),
        "{service}"
    );
    for text in
        [service, read("bartizan.slice"), read("bartizan-exporter.service"), read("bartizan-audit-page.service")]
    {
        assert!(
            !["@PREFIX@", "@VAR@", "@SERVICE_USER@", "@OPERATORS@", "@READERS@"].iter().any(|word| text.contains(word)),
            "{text}"
        );
    }
    assert!(place.path("lib/tmpfiles.d/bartizan.conf").exists());
}
