#!/bin/sh
# Runs a command whose temporary files, and so the tests' work trees, stores and lakes, lie on another kind of
# file system, as with reflinks:
#
#     tests/filesystem/on.sh KIND COMMAND [ARGUMENT...]
#     tests/filesystem/on.sh xfs cargo test
#
# KIND is xfs or btrfs, or any other that has a mkfs.KIND. It is made in a file and mounted where only the command
# sees it, for which Linux and root are needed. The exit code is that of COMMAND; 125 says that there was no such
# file system to run it on.
#
# GIT_LAKE_IMAGE  the file, which is overwritten, and removed in the end; by default target/KIND.image
set -eu

die() {
    echo "on.sh: $1" >&2
    exit 125
}

# In a name space of its own, whose mounts go with it.
if [ "${1:-}" = --mounted ]; then
    image=$2 place=$3
    shift 3
    mount -o loop "$image" "$place" || exit 125
    TMPDIR=$place
    export TMPDIR
    exec "$@"
fi

[ $# -ge 2 ] || die "a kind of file system and a command are needed"
kind=$1
shift
top=$(cd "$(dirname "$0")/../.." && pwd)
image=${GIT_LAKE_IMAGE:-$top/target/$kind.image}
mkdir -p "$top/target"
place=$(mktemp -d "$top/target/$kind.XXXXXX")
trap 'rm -rf "$image"; rmdir "$place"' EXIT
rm -f "$image"
truncate -s 16G "$image" || die "could not make $image"
"mkfs.$kind" -q "$image" >&2 || die "could not make a file system of the kind $kind in $image"
unshare --mount "$0" --mounted "$image" "$place" "$@"
