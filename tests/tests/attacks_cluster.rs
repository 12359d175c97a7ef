//! What the backend slurm believes, and what it does only once: the cluster's own commands are the test's here, and lie, hang and forget.

use bartizan_playground::service::{Role, hosts};
use bartizan_tests::house::{House, Plan, skip};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

/// What each command does. `lie` is said before anything else.
const PROGRAMS: [(&str, &str); 5] = [
    ("squeue", "[ -e $out/lie ] && exec cat $out/lie\n[ -e $out/job ] && exec cat $out/job\necho '{\"jobs\": []}'"),
    (
        "sbatch",
        r#"for word; do case $word in --job-name=*) name=${word#--job-name=};; esac; done
printf '{"jobs": [{"job_id": 31, "name": "%s", "user_id": %s, "job_state": ["RUNNING"], "nodes": "node1", "exit_code": 0}]}' \
    "$name" "$(id -u)" >$out/job.new && mv $out/job.new $out/job
echo "$name" >>$out/submitted
[ -e $out/slow ] && sleep 3 && echo 'sbatch: error: Socket timed out on send/recv operation' >&2 && exit 1
echo 31"#,
    ),
    ("scancel", "echo \"$*\" >>$out/cancelled\nrm -f $out/job"),
    ("sacct", "echo 'Slurm accounting storage is disabled' >&2\nexit 1"),
    ("sinfo", "exit 1"),
];

/// A cluster of nothing but commands.
struct Cluster(TempDir);

impl Cluster {
    fn make() -> Self {
        let folder = tempfile::Builder::new().prefix("bartizan-cluster-").tempdir_in("/tmp").expect("a folder");
        for name in ["bin", "etc", "munge", "out"] {
            fs::create_dir(folder.path().join(name)).expect("made");
            fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(0o755)).expect("chmod");
        }
        fs::write(folder.path().join("etc/slurm.conf"), "").expect("written");
        let cluster = Self(folder);
        for (name, lines) in PROGRAMS {
            let path = cluster.0.path().join("bin").join(name);
            let out = cluster.0.path().join("out");
            fs::write(&path, format!("#!/bin/sh\nout={}\n{lines}\n", out.display())).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("chmod");
        }
        cluster
    }

    /// A house that has it, with the script `train` there.
    async fn house(&self, entry: &str) -> House {
        let at = self.0.path().display();
        let config = format!(
            "\n[slurm]\ncontroller = \"127.0.0.1\"\nconfig = \"{at}/etc/slurm.conf\"\nprograms = \"{at}/bin\"\n\
             munge = \"{at}/munge\"\nuser = \"slurm\"\nuser-id = 64030\noutput = \"{at}/out\"\n"
        );
        let entry = format!("backend = \"slurm\"\ntimeout = \"5m\"\n{entry}");
        House::build(Plan::default().bash("train", "true", &entry).config(&config)).await
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join("out").join(name)
    }

    fn lines(&self, name: &str) -> usize {
        fs::read_to_string(self.path(name)).map_or(0, |text| text.lines().count())
    }

    async fn submitted(&self, house: &House, times: usize) {
        house.wait("the submission", || (self.lines("submitted") >= times).then_some(())).await;
        assert_eq!(self.lines("submitted"), times);
    }

    /// The job as the commands tell of it, its name and its user's number.
    fn job(&self) -> (String, String, String) {
        let text = fs::read_to_string(self.path("job")).expect("a job");
        let read: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let job = &read["jobs"][0];
        (job.to_string(), job["name"].as_str().expect("a name").to_owned(), job["user_id"].to_string())
    }

    /// It ends well, as far as everybody says.
    fn ends(&self) {
        let (job, name, _) = self.job();
        fs::write(self.path(&name).join("end"), "0\n").expect("written");
        fs::write(self.path("job"), format!("{{\"jobs\": [{}]}}", job.replace("RUNNING", "COMPLETED")))
            .expect("written");
    }
}

/// Without namespaces no job may have the daemon that this backend needs.
fn cannot(test: &str) -> bool {
    let missing = hosts::no_namespaces();
    if let Some(why) = &missing {
        skip(test, why);
    }
    missing.is_some()
}

/// The service was killed, and the scheduler has forgotten the job of an `idempotent` script: what began it anew was no gate's business.
#[tokio::test(flavor = "current_thread")]
async fn row_74_what_may_run_twice_is_begun_again_only_where_it_would_be_let_through_now() {
    if cannot("row_74_what_may_run_twice_is_begun_again_only_where_it_would_be_let_through_now") {
        return;
    }
    let cluster = Cluster::make();
    let house = cluster.house("idempotent = true\n").await;
    let forgotten = async || {
        fs::remove_file(cluster.path("job")).expect("there");
        house.service.kill(Role::Core).await.expect("killed");
        house.service.connected().await.expect("back");
    };

    let post = house.say("bob", "ops", "!train");
    cluster.submitted(&house, 1).await;
    forgotten().await;
    cluster.submitted(&house, 2).await;
    cluster.ends();
    house.reaction(&post, "white_check_mark").await;

    // Nothing new is begun while a pause holds.
    let post = house.say("bob", "ops", "!train");
    cluster.submitted(&house, 3).await;
    assert!(house.operator(&["pause"]).await.success());
    forgotten().await;
    house.reaction(&post, "x").await;
    assert!(house.said(&post).concat().contains("the scheduler does not know it"), "{:?}", house.said(&post));
    assert!(house.operator(&["resume"]).await.success());

    // Nor for somebody who may not any more.
    let post = house.say("bob", "ops", "!train");
    cluster.submitted(&house, 4).await;
    assert!(house.ask("alice", "ops", "!ban @bob \"enough\" 1h").await.contains("banned"));
    forgotten().await;
    house.reaction(&post, "x").await;
    assert_eq!(cluster.lines("submitted"), 4, "nothing was begun for a banned person, or in a pause");
}

#[tokio::test(flavor = "current_thread")]
async fn jobs_of_others_with_the_same_name_and_names_that_are_no_text_change_nothing() {
    if cannot("jobs_of_others_with_the_same_name_and_names_that_are_no_text_change_nothing") {
        return;
    }
    let cluster = Cluster::make();
    let house = cluster.house("").await;
    let post = house.say("bob", "ops", "!train");
    cluster.submitted(&house, 1).await;
    let (job, name, user) = cluster.job();
    let other = user.parse::<u64>().expect("a number") + 1;
    // The same name: another's, nobody's, one without a number; and a name of bytes that are no text.
    let others = format!(
        "{{\"job_id\": 3, \"name\": \"{name}\", \"user_id\": {other}, \"job_state\": \"COMPLETED\", \"exit_code\": 0}},\
         {{\"job_id\": 4, \"name\": \"{name}\", \"job_state\": \"COMPLETED\", \"exit_code\": 0}},\
         {{\"name\": \"{name}\", \"user_id\": {user}, \"job_state\": \"FAILED\"}},\
         {{\"job_id\": 5, \"name\": \"$(id);\\u0000'`\\\"@all\", \"user_id\": {other}, \"job_state\": [\"RUNNING\"], \"nodes\": [[[7]]]}},\
         {{\"job_id\": 6, \"name\": \"@NO TEXT@\", \"user_id\": {other}, \"job_state\": \"RUNNING\"}},"
    );
    let lie = |ours: &str| {
        let (before, after) = others.split_once("@NO TEXT@").expect("there");
        let bytes =
            [b"{\"jobs\": [", before.as_bytes(), b"\xff\xfe\xed\xa0\x80", after.as_bytes(), ours.as_bytes(), b"]}"];
        fs::write(cluster.path("lie.new"), bytes.concat()).expect("written");
        fs::rename(cluster.path("lie.new"), cluster.path("lie")).expect("renamed");
    };
    lie(&job);
    tokio::time::sleep(Duration::from_secs(3)).await;
    // An answer without a bottom is none; the next one counts.
    fs::write(cluster.path("lie.new"), format!("{{\"jobs\": [{{\"name\": {}", "[".repeat(1_000_000))).expect("written");
    fs::rename(cluster.path("lie.new"), cluster.path("lie")).expect("renamed");
    tokio::time::sleep(Duration::from_secs(3)).await;
    let over =
        |reactions: &[(String, String)]| reactions.iter().any(|(_, name)| name == "x" || name == "white_check_mark");
    assert!(!over(&house.server.reactions(&post)), "it was taken for another one: {:?}", house.said(&post));

    fs::write(cluster.path(&name).join("end"), "0\n").expect("written");
    lie(&job.replace("RUNNING", "COMPLETED"));
    house.reaction(&post, "white_check_mark").await;
    let said = house.said(&post).concat();
    assert!(said.contains("job 31: COMPLETED on node1, exit 0") && !said.contains("id);"), "{said}");
    assert_eq!((cluster.lines("submitted"), cluster.lines("cancelled")), (1, 0));
}

/// Told to stop while `sbatch` had not answered, it said that nothing was submitted, and the job went on.
#[tokio::test(flavor = "current_thread")]
async fn a_job_that_the_cluster_took_without_saying_so_is_cancelled_when_it_is_killed() {
    if cannot("a_job_that_the_cluster_took_without_saying_so_is_cancelled_when_it_is_killed") {
        return;
    }
    let cluster = Cluster::make();
    fs::write(cluster.path("slow"), "").expect("written");
    let house = cluster.house("").await;
    let post = house.say("bob", "ops", "!train");
    cluster.submitted(&house, 1).await;
    let started = house.recorded("its start", |record| record["event"] == "job-start").await;
    let killed = house.operator(&["kill", &started["executionId"].to_string()]).await;
    assert!(killed.success(), "{}", killed.output);
    house.wait("its cancellation", || (cluster.lines("cancelled") == 1).then_some(())).await;
    let said = house.reply(&post).await;
    assert!(!said.contains("it was not submitted"), "{said}");
}
