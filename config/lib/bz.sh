# The script API for bash and sh: `. bz.sh` in a job's script, which finds it on its PATH. Each function is a verb of `bz`,
# with the same arguments and exit codes (`bz help`, docs/scripting.md).
say() { bz say "$@"; }
reply() { bz reply "$@"; }
progress() { bz progress "$@"; }
param() { bz param "$@"; }
secret() { bz secret "$@"; }
log() { bz log "$@"; }
remember() { bz remember "$@"; }
recall() { bz recall "$@"; }
checkout() { bz checkout "$@"; }
attach_file() { bz file "$@"; }
table() { bz table "$@"; }
attach() { bz attach "$@"; }
bzdiff() { bz diff "$@"; }
chart() { bz chart "$@"; }
ask() { bz ask "$@"; }
subscribe() { bz subscribe "$@"; }
add_task() { bz add-task "$@"; }
add_job() { bz add-job "$@"; }
add_command() { bz add-command "$@"; }
final_task() { bz final-task "$@"; }
fail_task() { bz fail-task "$@"; }
spawn_job() { bz spawn-job "$@"; }
exclusive() { bz exclusive "$@"; }

# confirm QUESTION …: true after yes, false after anything else, a cancelled question, or none in time.
confirm() { [ "$(bz ask --choice yes --choice no "$@" 2>/dev/null)" = yes ]; }
