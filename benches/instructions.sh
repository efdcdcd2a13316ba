#!/usr/bin/env bash
# Counts the instructions that git-lake runs for one more file in `git add` and in `git switch`, its folder
# lake included: the same on a busy machine as on a quiet one. Needs valgrind.
#
#   benches/instructions.sh [PATH-OF-git-lake]
set -euo pipefail
. "$(dirname "$0")/measure.sh"
program=$(realpath "${1:-target/release/git-lake}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
own_home "$work/home"
mkdir "$work/bin"
ln -s "$program" "$work/bin/git-lake"
export PATH="$work/bin:$PATH"
git lake install >/dev/null 2>&1
few=100 many=1100

# count COMMAND...: runs git with a filter that is counted, and prints the instructions.
count() {
    git -c filter.lake.process="valgrind --quiet --tool=callgrind --callgrind-out-file=$work/out git-lake filter-process" \
        "$@" >/dev/null 2>&1
    sed -n 's/^summary: \([0-9]*\).*/\1/p' "$work/out"
}

# measure FILES: prints the instructions of an add and of a switch of so many files of 1 KiB.
measure() {
    mkdir "$work/$1" && cd "$work/$1"
    git init -q repo && cd repo
    git lake init "$work/$1/lake" >/dev/null 2>&1
    git lake track '*.bin' >/dev/null 2>&1
    git add . && git commit -q -m "Nothing yet" && git branch empty
    for at in $(seq "$1"); do
        printf '%01024d' "$at" >"$at.bin"
    done
    add=$(count add .)
    git commit -q -m "Files"
    git switch -q empty 2>/dev/null
    rm -rf .git/lake/v1/objects
    echo "$add $(count switch main)"
}

read -r add_few switch_few < <(measure $few)
read -r add_many switch_many < <(measure $many)
echo "git add, for each file:             $(((add_many - add_few) / (many - few))) instructions"
echo "git switch, downloaded, each file:  $(((switch_many - switch_few) / (many - few))) instructions"
