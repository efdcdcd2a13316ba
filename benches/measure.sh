# Is sourced by the benchmarks here, which have a folder `work` of their own. Needs GNU time.

# own_home FOLDER: makes it the home, where git knows of nothing but a user.
own_home() {
    mkdir -p "$1"
    export HOME=$1 GIT_CONFIG_NOSYSTEM=1
    git config --global init.defaultBranch main
    git config --global user.name bench
    git config --global user.email bench@example.org
}

# measure LABEL NAME COMMAND: runs a command of the shell and prints the CPU time of all its processes, the
# wall time and the memory of the largest of them.
measure() {
    /usr/bin/time -o "$work/took" -f "%U %S %e %M" bash -c "set -e; $3" >"$work/said" 2>&1 || {
        cat "$work/said" >&2
        exit 1
    }
    awk -v label="$1" -v name="$2" \
        '{ printf "%-13s %-36s %6.2f s CPU %6.2f s %5d MiB\n", label, name, $1 + $2, $3, $4 / 1024 }' "$work/took"
}
