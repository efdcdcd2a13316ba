#!/usr/bin/env bash
# Does the same with many files and with more, and prints for each command the CPU time of all processes, the
# wall time and the memory of the largest process.
#
#   benches/scale.sh [FILES]...                         by default 1000, 10000 and 100000
#
# Files of 500 bytes and a folder lake, in a new folder of TMPDIR. A million need about 20 GiB there and four
# million inodes. Needs GNU time, python3, and git-lake on PATH.
set -euo pipefail
. "$(dirname "$0")/measure.sh"

[ $# -gt 0 ] || set -- 1000 10000 100000
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
own_home "$work/home"
git lake install >/dev/null 2>&1

# step COMMAND: runs a command, and prints what it took.
step() {
    measure "$files" "$1" "$1"
}

for files; do
    mkdir "$work/$files" && cd "$work/$files"
    git init -q --bare server.git
    git init -q author && cd author
    git remote add origin ../server.git
    git lake init --create ../lake >/dev/null 2>&1
    git lake track '*.bin' >/dev/null 2>&1
    python3 - "$files" <<'MAKE'
import os, sys
for number in range(int(sys.argv[1])):
    folder = f"{number // 1000:04}"
    if number % 1000 == 0:
        os.mkdir(folder)
    with open(f"{folder}/{number:07}.bin", "wb") as file:
        file.write(os.urandom(500))
MAKE
    step "git lake add ."
    git commit -q -m files
    step "git push -q origin main"
    step "git status"
    step "git lake status"
    # The clone needs the room.
    cd .. && rm -rf author
    step "git clone -q server.git clone"
    cd clone && rm -rf [0-9]*
    step "git lake remote-add --create ../second"
    cd "$work" && rm -rf "${work:?}/$files"
done
