#!/bin/sh
# One of the test's machines: host up|down|rekey NAME, host slow NAME SECONDS; host sleeps COUNT waits until so many `sleep` run on all
# of them together, and says how many do; host pins KEY has all of them take orders of this broker's key.
#
# Each is an OpenSSH daemon of its own in a user and process namespace of its own, with one user, `deploy`, who is whoever started it:
# no root is needed, and nobody has to be in the machine's /etc/passwd. When it goes down, everything that ran on it is gone.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
verb=${1:?} name=${2:?}

sleeping() {
	found=0
	level=$(cat "$here"/*/pid 2>/dev/null || :)
	while [ -n "$level" ]; do
		below=
		for pid in $level; do
			below="$below $(cat "/proc/$pid/task/"*/children 2>/dev/null || :)"
			[ "$(cat "/proc/$pid/comm" 2>/dev/null)" != sleep ] || found=$((found + 1))
		done
		level=$(echo $below)
	done
}
if [ "$verb" = pins ]; then
	echo "$name" >"$here/broker.pub"
	exit
fi
if [ "$verb" = sleeps ]; then
	tries=0
	while sleeping && [ $found != "$name" ] && [ $tries -lt 80 ]; do
		tries=$((tries + 1))
		sleep 0.1
	done
	echo $found
	exit
fi

host=$here/$name
[ -d "$host" ] || { echo "there is no host $name" >&2; exit 1; }

up() {
	: >"$host/log"
	# shellcheck disable=SC2016
	unshare --user --map-user="$(id -u)" --map-group="$(id -g)" --keep-caps --mount --pid --fork --kill-child=KILL --mount-proc \
		sh -c 'mount --bind "$1/passwd" /etc/passwd && exec setpriv --inh-caps=-all --ambient-caps=-all /usr/sbin/sshd -D -e -f "$1/sshd_config"' \
		sh "$host" >>"$host/log" 2>&1 </dev/null &
	echo $! >"$host/pid"
	tries=0
	until grep -q "Server listening" "$host/log"; do
		tries=$((tries + 1))
		[ $tries -lt 600 ] || { cat "$host/log" >&2; exit 1; }
		sleep 0.05
	done
}
down() {
	[ -e "$host/pid" ] || return 0
	pid=$(cat "$host/pid")
	# The first process in there: with it the kernel ends all others. Then `unshare`, which waited for it, ends.
	# shellcheck disable=SC2046
	kill -KILL $(cat "/proc/$pid/task/$pid/children" 2>/dev/null) 2>/dev/null || kill -KILL "$pid" 2>/dev/null || :
	while [ -e "/proc/$pid" ] && ! grep -q '^State:.*Z' "/proc/$pid/status" 2>/dev/null; do sleep 0.02; done
	rm -f "$host/pid"
}
case $verb in
up) up ;;
down) down ;;
rekey)
	down
	mv "$host/key.other" "$host/key"
	up
	;;
slow)
	sed "s|command=\"|&sleep ${3:?}; exec |" "$host/authorized_keys" >"$host/authorized_keys.new"
	mv "$host/authorized_keys.new" "$host/authorized_keys"
	;;
*) echo "host up|down|rekey|slow NAME [SECONDS], host sleeps COUNT, host pins KEY" >&2 && exit 2 ;;
esac
