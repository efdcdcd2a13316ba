#!/usr/bin/env bash
# Runs the same work with git-lake and its peers and prints, for each step, the CPU time of all
# processes, the wall time and the memory of the largest process.
#
#   benches/peers.sh [git|git-lfs|git-annex|dvc|git-lake|git-lake-add]...
#                                                       by default git, git-lfs and git-lake
#
# FILES (5000) files of 20 KiB, and one of BIG_MIB (1024). Everything happens in a new folder of
# TMPDIR, with a HOME of its own. Storage is a folder, into which every tool has to copy: for git-lfs,
# which would make hard links, it is a mount of its own, for which unshare(1) is needed. git-annex has its
# files unlocked and a directory as a remote; DVC has the folder and the large file as outputs and a folder
# as its remote. Needs GNU time, and the tools on PATH.
set -euo pipefail
. "$(dirname "$0")/measure.sh"

files=${FILES:-5000} big_mib=${BIG_MIB:-1024}

# step NAME COMMAND: runs a command, and prints what it took.
step() {
    measure "$tool" "$@"
}

# begin FOLDER: makes a repository with a server beside it, tracked by the tool.
begin() {
    mkdir "$work/$1"
    cd "$work/$1"
    git init -q --bare server.git
    git init -q author
    cd author
    git remote add origin "file://$work/$1/server.git"
    case $tool in
    git-lake*)
        git lake init --create ../lake
        git lake track '*.bin'
        ;;
    git-lfs)
        mount --bind "$work/$1/server.git" "$work/$1/server.git"
        git lfs install --local
        git lfs track '*.bin'
        ;;
    git-annex)
        git annex init author
        git config annex.addunlocked true
        git config annex.largefiles 'include=*.bin'
        mkdir ../lake
        git annex initremote lake type=directory directory="$work/$1/lake" encryption=none
        ;;
    dvc)
        dvc init
        dvc remote add -d lake "$work/$1/lake"
        git add -A
        git commit -m begin
        ;;
    esac >/dev/null 2>&1
}

# fill SEED COUNT: writes files that are the same for each tool.
fill() {
    python3 - "$1" "$2" <<'PYTHON'
import os, random, sys
seed, count = map(int, sys.argv[1:])
for at in range(count):
    os.makedirs(f"data/{at % 50:02}", exist_ok=True)
    with open(f"data/{at % 50:02}/{at:07}.bin", "wb") as file:
        file.write(random.Random(seed * 10**7 + at).randbytes(20 << 10))
PYTHON
}

same() {
    diff -r --exclude=.git --exclude=.dvc "$1" "$2" >/dev/null || { echo "$tool: the clone differs" >&2; exit 1; }
}

# clone FOLDER: prints how a clone with all content is made.
clone() {
    echo "git clone -q file://$work/$1/server.git ../clone && cd ../clone"
    case $tool in
    git-annex)
        echo "git annex init -q clone && git annex enableremote lake directory=$work/$1/lake && git annex get -q -J2 ."
        ;;
    dvc) echo "dvc pull -q" ;;
    esac
}

run() {
    local add="git add -A" send="git push -q origin HEAD" get=true status="git status --short"
    case $tool in
    git-lake-add) add="git lake add . && git add -A" ;;
    git-annex)
        add="git annex add -q -J2 ."
        # The clone has told the server of itself meanwhile.
        send="git annex copy -q -J2 --to=lake . && git fetch -q && git annex merge -q && git push -q origin HEAD git-annex"
        get="git annex get -q -J2 ."
        ;;
    dvc)
        add="for each in data *.bin; do [ ! -e \$each ] || dvc add -q \$each; done && git add -A"
        send="dvc push -q && git push -q origin HEAD"
        # What is in the cache needs no remote.
        get="{ dvc checkout -q || dvc pull -q; }"
        status="git status --short && dvc status -q"
        ;;
    esac
    local commit="git commit -q -m Snapshot"
    local touch="find data -name '*.bin' -exec touch {} +"

    begin small
    fill 1 "$files"
    step "W1 add, commit, push small files" "$add && $commit && $send"
    sync
    step "W2 clone them" "$(clone small)"
    same . ../clone
    sleep 2
    bash -c "$touch"
    step "W5 status when all are touched" "$status"
    bash -c "$touch"
    step "W6 add when all are touched" "$add"
    git switch -q -c changed
    fill 2 "$((files / 10))"
    step "W7a add, commit, push a tenth" "$add && $commit && $send"
    step "W7 switch back" "git switch -q main && $get"
    git -C ../clone fetch -q
    step "W7c switch in the clone" "cd ../clone && git switch -q changed && $get"
    bash -c "git switch -q changed && $get" >/dev/null
    same . ../clone

    begin big
    head -c "$((big_mib << 20))" /dev/urandom >big.bin
    step "W3 add, commit, push a large file" "$add && $commit && $send"
    sync
    step "W4 clone it" "$(clone big)"
    same . ../clone
}

if [ "${1:-}" = --inside ]; then
    tool=$2
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    own_home "$work/home"
    git config --global gc.auto 0
    case $tool in
    git-lake*) git lake install >/dev/null 2>&1 ;;
    git-lfs) git lfs install >/dev/null ;;
    esac
    run
    [ "$tool" != git-lfs ] || umount "$work/small/server.git" "$work/big/server.git"
    exit
fi

[ $# -gt 0 ] || set -- git git-lfs git-lake git-lake-add
for tool in "$@"; do
    case $tool in
    git-lfs) unshare --map-root-user --mount "$0" --inside "$tool" ;;
    *) "$0" --inside "$tool" ;;
    esac
done
