#!/bin/sh
# From nothing to a published container. Each command is shown before it runs, and works typed by hand as well.
#
# Needs no network, no registry and no image from elsewhere: the root filesystem is made of this machine's own
# programs. Leaves nothing behind but its state folder, target/demo.
set -eu
cd "$(dirname "$0")/.."

bold="" plain=""
if [ -t 1 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[m'); fi

say() { printf '\n%s# %s%s\n' "$bold" "$*" "$plain"; }
run() { printf '%s$ %s%s\n' "$bold" "$1" "$plain"; eval "$1"; }
fail() { printf 'demo: %s\n' "$*" >&2; exit 1; }

[ "$(id -u)" = 0 ] || fail "containers need root: run it as root, or with sudo"

PATH=${CTR_BIN_DIR:-$PWD/target/bin}:$PATH
CTR_ROOT=$PWD/target/demo/lib
CTR_RUN=$PWD/target/demo/run
export PATH CTR_ROOT CTR_RUN
port=${DEMO_PORT:-4000}

# A demo that was interrupted may have left its container. The bridge stays after the last one, for the next.
end() { ctr rm -f web >/dev/null 2>&1 || true; portfwd remove bridge 2>/dev/null || true; }
end
rm -rf target/demo
mkdir -p target/demo
trap end EXIT
trap 'exit 130' INT TERM

if ctr_listens=$(ss -Hltn "sport = :$port" 2>/dev/null) && [ -n "$ctr_listens" ]; then
    fail "port $port is taken on this machine: choose another with DEMO_PORT=4001 make demo"
fi

# Waits, with a deadline, for the app to answer.
answers() {
    for _ in $(seq 100); do
        curl -fsS "http://localhost:$port" 2>/dev/null && return
        sleep 0.1
    done
    fail "nothing answered at port $port within 10 seconds; this is what the app said: $(ctr logs web 2>&1)"
}

say "state lives in two folders"
run "export CTR_ROOT=target/demo/lib CTR_RUN=target/demo/run" # shown short; the absolute paths are set above
CTR_ROOT=$PWD/target/demo/lib CTR_RUN=$PWD/target/demo/run

say "1. a root filesystem, made of this machine's own programs"
run "mkrootfs host target/demo/rootfs --with python3"

say "2. as an image"
run "tar -C target/demo/rootfs -c . | ctr import - python:3-slim"
run "ctr images"
say "   on disk: the image is an OCI image layout, and its layer is unpacked once"
run "ls target/demo/lib target/demo/lib/images target/demo/lib/layers"

say "3. an app on top of it, by a Dockerfile"
run "cat tests/fixtures/pythonweb/Dockerfile"
run "ctr build -t pythonweb tests/fixtures/pythonweb"
say "   a second build finds every step done"
run "ctr build -t pythonweb tests/fixtures/pythonweb"
run "ctr history pythonweb"

say "4. a container"
run "ctr run -d -p $port:80 -m 64m --name web pythonweb"
printf '%s$ curl http://localhost:%s%s\n' "$bold" "$port" "$plain"
answers
run "ctr ps"
run "ctr logs web"
run "ctr exec web ps"
say "   on disk: what was asked for, what became of it, its writable layer; in run/, what is alive"
run "ls target/demo/lib/containers/* target/demo/run/*"
run "cat target/demo/lib/networks/bridge.json"

say "5. stop it, look, start it again"
run "ctr stop web"
run "ctr ps -a"
say "   on disk: state.json tells how it ended; of what was alive, nothing is left in run/"
run "cat target/demo/lib/names/web/state.json; echo; ls target/demo/run"
run "ctr start web"
printf '%s$ curl http://localhost:%s%s\n' "$bold" "$port" "$plain"
answers
run "ctr rm -f web"

say "6. take the app's image away again"
run "ctr rmi pythonweb"
run "ctr images"

say "done. Nothing runs any more; the state is in target/demo ($(du -sh target/demo | cut -f1)). Look around:"
cat <<'END'
  ls -R target/demo/lib | less            the layout; lessons/LAYOUT.md explains each file
  export PATH=$PWD/target/bin:$PATH CTR_ROOT=$PWD/target/demo/lib CTR_RUN=$PWD/target/demo/run
  ctr run --rm -it python:3-slim sh       a shell in a container
  ctr --explain run --rm python:3-slim ps what ctr does, as a shell script
  make lesson N=00                        how it all works, step by step
END
