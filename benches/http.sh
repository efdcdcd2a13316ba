#!/usr/bin/env bash
# Clones FILES (5000) files of 20 KiB whose objects nginx serves on loopback, with git-lake from what looks like
# a bucket, and with git-lfs, whose batch requests a few lines of Python answer. Prints for each of ROUNDS (3)
# rounds the CPU time of git and the tool, the wall time, and the CPU time of nginx. Then it fetches one object of
# LARGE_MIB (1024) MiB, with git-lake into its store, and with clients that verify nothing: curl, and s5cmd if it is there.
#
# Needs nginx, git-lfs, python3, curl, GNU time, and git-lake on PATH. Everything happens in a new folder of TMPDIR.
set -euo pipefail
. "$(dirname "$0")/measure.sh"

files=${FILES:-5000} large_mib=${LARGE_MIB:-1024} rounds=${ROUNDS:-3} port=${PORT:-9981}
work=$(mktemp -d)
end() {
    [ ! -e "$work/nginx.pid" ] || kill "$(cat "$work/nginx.pid")"
    [ ! -e "$work/batch.pid" ] || kill "$(cat "$work/batch.pid")"
    rm -rf "$work"
}
trap end EXIT
# For the user that nginx runs as.
chmod 711 "$work"
mkdir -p "$work/served/bucket/lake/.pl" "$work/served/lfs"
cd "$work"
own_home "$work/home"
# So that requests are signed, as for any bucket that is not public.
export AWS_ACCESS_KEY_ID=bench AWS_SECRET_ACCESS_KEY=not-a-secret
git config --global "lake.127.0.0.1:$port.secure" false
git config --global "lfs.http://127.0.0.1:$((port + 1))/lfs.locksverify" false
git lake install >install.log 2>&1
git lfs install >>install.log 2>&1

cat >nginx.conf <<CONF
pid $work/nginx.pid;
error_log $work/nginx.log;
worker_processes 1;
events {}
http {
    access_log off;
    sendfile on;
    keepalive_requests 1000000;
    default_type application/octet-stream;
    server { listen 127.0.0.1:$port; root $work/served; }
}
CONF
nginx -c "$work/nginx.conf" -e "$work/nginx.log"
python3 - "$port" <<'BATCH' &
import json, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
port = int(sys.argv[1])
class Batch(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    def log_message(self, *_):
        pass
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        served = f"http://127.0.0.1:{port}/lfs/"
        for one in asked["objects"]:
            one["actions"] = {"download": {"href": served + one["oid"]}}
        body = json.dumps({"transfer": "basic", "objects": asked["objects"]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.git-lfs+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
ThreadingHTTPServer(("127.0.0.1", port + 1), Batch).serve_forever()
BATCH
echo $! >batch.pid

for tool in lake lfs; do
    git init -q --bare $tool.git
    git init -q author-$tool
done
printf '{"__HASH_FN__": "sha256"}' >served/bucket/lake/.pl/tags.json
python3 - "$files" <<'MAKE'
import hashlib, os, sys
for number in range(int(sys.argv[1])):
    content = os.urandom(20480)
    oid = hashlib.sha256(content).hexdigest()
    for path in (f"author-lake/{number}.bin", f"author-lfs/{number}.bin",
                 f"served/bucket/lake/{oid}.bin", f"served/lfs/{oid}"):
        with open(path, "wb") as file:
            file.write(content)
MAKE
cat >author-lake/.gitlake.toml <<SETTINGS
version = 1
[[remote]]
name = "served"
url = "s3://127.0.0.1:$port/bucket/lake"
secure = false
SETTINGS
for tool in lake lfs; do
    (
        cd author-$tool
        echo "*.bin filter=$tool -text" >.gitattributes
        git config lake.upload push
        git add -A
        git commit -q -m files
        # What is served is there already.
        git -c core.hooksPath=/dev/null push -q ../$tool.git main
    )
done

nginx_ticks() {
    awk '{ sum += $14 + $15 } END { print sum }' "/proc/$(pgrep -P "$(cat nginx.pid)")/stat"
}
for _ in $(seq "$rounds"); do
    for tool in lake lfs; do
        rm -rf clone
        before=$(nginx_ticks)
        /usr/bin/time -o took -f "%U %S %e" \
            git -c "lfs.url=http://127.0.0.1:$((port + 1))/lfs" clone -q $tool.git clone
        cmp clone/1.bin author-$tool/1.bin
        awk -v tool="git-$tool" -v ticks=$(($(nginx_ticks) - before)) -v hertz="$(getconf CLK_TCK)" \
            '{ printf "%-9s %6.2f s CPU %6.2f s, nginx %5.2f s CPU\n", tool, $1 + $2, $3, ticks / hertz }' took
    done
done

git init -q large
cp author-lake/.gitlake.toml author-lake/.gitattributes large
(
    cd large
    git config lake.upload push
    head -c $((large_mib << 20)) /dev/urandom >large.bin
    git add -A
    git commit -q -m large
)
name=$(sha256sum large/large.bin | cut -d ' ' -f 1).bin
mv large/large.bin "served/bucket/lake/$name"
for _ in $(seq "$rounds"); do
    rm -rf large/.git/lake/v1/{objects,receipts} got
    measure git-lake "fetch $large_mib MiB" "git -C large lake fetch"
    measure curl "get $large_mib MiB" "curl -sS -o got http://127.0.0.1:$port/bucket/lake/$name"
    rm got
    if command -v s5cmd >/dev/null; then
        measure s5cmd "cp $large_mib MiB" \
            "s5cmd --endpoint-url http://127.0.0.1:$port cp s3://bucket/lake/$name got"
        cmp got "served/bucket/lake/$name"
    fi
done
