#!/bin/sh
# cage.sh FOLDER COMMAND...: what xtask/src/cage.rs starts as the first process of a namespace. All others
# end with it. It takes the signals, which the first process does not get unless it asks for them.
set -e
trap 'exit 130' HUP INT TERM
mkdir -p /run/netns
mount -t tmpfs tmpfs /run/netns
mount -t tmpfs tmpfs "$1"
export TMPDIR="$1"
shift
"$@"
