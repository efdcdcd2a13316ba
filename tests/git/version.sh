#!/bin/sh
# Runs a command with another version of git, which is built from source once:
#
#     tests/git/version.sh VERSION COMMAND [ARGUMENT...]
#     tests/git/version.sh 2.55.0 cargo test
#
# It needs a C compiler, make, zlib's headers, and curl or GIT_LAKE_GIT_SOURCE. The exit code is that of COMMAND;
# 125 says that there was no such git to run it with.
#
# GIT_LAKE_GIT_SOURCE  the .tar.xz of that version; if unset, it is fetched from kernel.org
# GIT_LAKE_GITS        where versions are installed, by default target/git
set -eu

die() {
    echo "version.sh: $1" >&2
    exit 125
}

[ $# -ge 2 ] || die "a version and a command are needed"
version=$1
shift
top=$(cd "$(dirname "$0")/../.." && pwd)
gits=${GIT_LAKE_GITS:-$top/target/git}
prefix=$gits/$version

# Makes git in a folder of its own, and gives it its name in one step.
build() {
    mkdir -p "$gits"
    made=$(mktemp -d "$gits/making.XXXXXX")
    trap 'rm -rf "$made"' EXIT
    source=${GIT_LAKE_GIT_SOURCE:-}
    if [ -z "$source" ]; then
        source=$made/git.tar.xz
        curl -fsSL -o "$source" "https://www.kernel.org/pub/software/scm/git/git-$version.tar.xz" ||
            die "could not fetch the source of git $version"
    fi
    mkdir "$made/source"
    tar -xJf "$source" --strip-components=1 -C "$made/source" || die "could not unpack $source"
    # What git-lake does not use is left out, so that little is needed to build it.
    options="NO_CURL=1 NO_EXPAT=1 NO_GETTEXT=1 NO_OPENSSL=1 NO_PERL=1 NO_PYTHON=1 NO_TCLTK=1 NO_REGEX=1 NO_RUST=1"
    # shellcheck disable=SC2086
    make -s -j2 -C "$made/source" $options prefix="$prefix" all >&2 || die "could not build git $version"
    # shellcheck disable=SC2086
    make -s -C "$made/source" $options prefix="$prefix" DESTDIR="$made/root" install >&2 ||
        die "could not install git $version"
    mv "$made/root$prefix" "$prefix"
    rm -rf "$made"
    trap - EXIT
}

[ -x "$prefix/bin/git" ] || build
PATH=$prefix/bin:$PATH
export PATH
echo "version.sh: $(git --version)" >&2
"$@"
