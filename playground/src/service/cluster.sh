#!/bin/sh
# The test's cluster.
#
# cluster up|down WHAT            munge, controller, node1, node2, all
# cluster jobs                    each job's name and state
# cluster state BEGIN STATE       waits until the last job whose name begins so is in that state, and says in which it is
# cluster finish NAME             what waits for a file of that name among the outputs goes on
# cluster stranger                a job that is nobody's here
#
# Each daemon is in a user and process namespace of its own, with one user, `deploy`, who is whoever started it: no root is needed, and
# nobody has to be in the machine's /etc/passwd. When one goes down, everything that ran on it is gone.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
verb=${1:?}
SLURM_CONF=$here/etc/slurm.conf
export SLURM_CONF

# shellcheck disable=SC2016
inside='mount --bind "$0/passwd" /etc/passwd && exec setpriv --inh-caps=-all --ambient-caps=-all "$@"'
# The first process of a namespace has to reap what is orphaned there: to Slurm a job with a zombie still runs.
# shellcheck disable=SC2016
under_init='mount --bind "$0/passwd" /etc/passwd && { setpriv --inh-caps=-all --ambient-caps=-all "$@" & wait; }'
client() {
	unshare --user --map-user="$(id -u)" --map-group="$(id -g)" --keep-caps --mount sh -c "$inside" "$here" "$@"
}
is_up() { [ -e "$here/$1.pid" ] && [ -e "/proc/$(cat "$here/$1.pid")" ]; }
start() {
	what=$1
	shift
	: >"$here/$what.log"
	unshare --user --map-user="$(id -u)" --map-group="$(id -g)" --keep-caps --mount --pid --fork --kill-child=KILL --mount-proc \
		sh -c "$under_init" "$here" "$@" >>"$here/$what.log" 2>&1 </dev/null &
	echo $! >"$here/$what.pid"
}
# until_holds WHAT COMMAND…: it holds, or WHAT's log says why not.
until_holds() {
	what=$1 end=$(($(date +%s) + 90))
	shift
	until "$@"; do
		is_up "$what" && [ "$(date +%s)" -lt $end ] || { cat "$here/$what.log" >&2; exit 1; }
		sleep 0.1
	done
}
answers() { client sinfo --noheader >/dev/null 2>&1; }
has() { client sinfo --noheader --Node --nodes="$1" --format=%T 2>/dev/null | grep -q '^\(idle\|mixed\|allocated\)$'; }
up() {
	is_up "$1" && return 0
	case $1 in
	munge)
		start munge /usr/sbin/munged --foreground --force --key-file="$here/munge/key" --socket="$here/munge/socket" \
			--pid-file="$here/munge/pid" --log-file="$here/munge/log" --seed-file="$here/munge/seed"
		until_holds munge test -S "$here/munge/socket"
		;;
	controller)
		start controller /usr/sbin/slurmctld -D
		until_holds controller answers
		;;
	node1 | node2)
		start "$1" /usr/sbin/slurmd -D -N "$1"
		until_holds "$1" has "$1"
		;;
	all) for each in munge controller node1 node2; do up $each; done ;;
	*) exit 2 ;;
	esac
}
down() {
	if [ "$1" = all ]; then
		for each in node2 node1 controller munge; do down $each; done
		return
	fi
	[ -e "$here/$1.pid" ] || return 0
	pid=$(cat "$here/$1.pid")
	# The first process in there: with it the kernel ends all others. Then `unshare`, which waited for it, ends.
	# shellcheck disable=SC2046
	kill -KILL $(cat "/proc/$pid/task/$pid/children" 2>/dev/null) 2>/dev/null || kill -KILL "$pid" 2>/dev/null || :
	while [ -e "/proc/$pid" ] && ! grep -q '^State:.*Z' "/proc/$pid/status" 2>/dev/null; do sleep 0.02; done
	rm -f "$here/$1.pid"
	[ "$1" != munge ] || rm -f "$here/munge/socket"
}
jobs() { client squeue --noheader --states=all --sort=i --format='%j %T'; }
case $verb in
up) up "${2:?}" ;;
down) down "${2:?}" ;;
jobs) jobs ;;
finish) : >"$here/out/${2:?}" ;;
stranger) client sbatch --parsable --job-name=stranger --output=/dev/null --wrap='sleep 600' >/dev/null ;;
state)
	end=$(($(date +%s) + 60))
	while state=$(jobs | grep "^${2:?}" | tail -n 1 | cut -d' ' -f2) && [ "$state" != "${3:?}" ] && [ "$(date +%s)" -lt $end ]; do
		sleep 0.1
	done
	echo "$state"
	;;
*) echo "cluster up|down WHAT, cluster jobs|stranger, cluster finish NAME, cluster state BEGIN STATE" >&2 && exit 2 ;;
esac
