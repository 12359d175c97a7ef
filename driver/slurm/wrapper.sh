#!/bin/sh
: "Bartizan's job. After this line sbatch reads no options out of a script, so those that follow are comments."
# FOLDER ARGUMENT…: runs the script below with these arguments, in a directory of its own, and writes down how it ended.
set -u
folder=$1
shift
umask 077
here=$(mktemp -d "${SLURM_TMPDIR:-/tmp}/bartizan-job-XXXXXXXXXX") || exit 125
trap 'cd / && rm -rf -- "$here"' EXIT
trap 'exit 143' TERM INT HUP
base64 -d >"$here/script" <<'END' || exit 125
@SCRIPT@
END
mkdir -- "$here/home" && cd -- "$here/home" && chmod 500 -- "$here/script" || exit 125
HOME=$here/home
TMPDIR=$here/home
export HOME TMPDIR
"$here/script" "$@"
code=$?
printf '%s\n' "$code" >"$folder/end.new" && mv -f -- "$folder/end.new" "$folder/end"
exit "$code"
