#!/usr/bin/env bash
# Installs and starts what is missing to run a lab: a Docker engine, mmdebstrap, kcat, jq, a C compiler, make.
# With --dev also what scripts/test.sh needs: cargo-nextest, cargo-deny, shellcheck, npm, Chromium and its driver, Docker Compose v2.
# It also keeps the last ports of the tests' labs from being given to outgoing connections, until the machine starts anew.
# With --bench what scripts/bench.sh needs: Docker Compose v2, gnuplot.
# Does nothing where nothing is missing, so it can be run as often as one likes; root (or sudo) only if it must install.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin # dockerd's folder, which a user's PATH lacks on Debian

nextest=0.9.151
deny=0.20.2
compose=2.40.3      # built where there is none, or one older than:
compose_least=2.23.1 # the first that takes a config's content inline
engine_log=/var/log/dockerd.log
engine_seconds=60

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 3; }
has() { command -v "$1" >/dev/null; }
at_least() { printf '%s\n' "$1" "${2:-0}" | sort -CV; } # at_least WANTED FOUND

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; elif has sudo; then sudo "$@"; else die "needs root, or sudo, for: $*"; fi
}

install_packages() {
    local packages=()
    { has docker && { engine_answers || has dockerd; }; } || packages+=(docker.io)
    has mmdebstrap || packages+=(mmdebstrap)
    has kcat || packages+=(kcat)
    has jq || packages+=(jq)
    has cc || packages+=(gcc libc6-dev)
    has c++ || packages+=(g++) # librdkafka's configure asks for one, though no C++ is compiled
    has make || packages+=(make)
    if [ "$dev" ]; then
        has shellcheck || packages+=(shellcheck)
        has npm || packages+=(npm) # holds dashboards to Grafana's types
        # Open the HTML report and the live page in tests and for pictures.
        has chromium || packages+=(chromium)
        has chromedriver || packages+=(chromium-driver)
    fi
    [ -z "$bench" ] || has gnuplot || packages+=(gnuplot-nox) # draws the table as a picture
    [ ${#packages[@]} -gt 0 ] || return 0
    has apt-get || die "this is no Debian: install what these packages hold by hand: ${packages[*]}"
    say "installing ${packages[*]}"
    as_root apt-get -q update >&2
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120 install -y --no-install-recommends \
        "${packages[@]}" >&2
    # From Debian 13 on, the client is a package of its own.
    has docker || as_root env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends docker-cli >&2
}

# Asks Debian's client too: a much newer one that comes first on the PATH may refuse to talk to an older engine.
engine_answers() {
    local client
    for client in docker /usr/bin/docker; do
        ! timeout 10 "$client" version >/dev/null 2>&1 || return 0
    done
    return 1
}

# A pid file that outlived its process must not keep the engine from starting because another process, or a zombie
# (which has no executable), has its number.
drop_stale_pid_file() { # FILE PROCESS-NAME
    local pid
    pid=$(as_root cat "$1" 2>/dev/null) || return 0 # none
    [[ $(as_root readlink "/proc/$pid/exe") = */$2* ]] || as_root rm -f "$1"
}

start_engine() {
    ! engine_answers || return 0
    [ -z "${DOCKER_HOST:-}" ] || die "DOCKER_HOST is $DOCKER_HOST, but no engine answers there"
    has dockerd || die "no engine answers, and there is no dockerd to start"
    say "starting the Docker engine"
    local started=
    if [ -d /run/systemd/system ]; then
        as_root systemctl start docker
        engine_log="journalctl -u docker"
    else
        drop_stale_pid_file /run/docker.pid dockerd
        drop_stale_pid_file /run/docker/containerd/containerd.pid containerd
        # An engine that is starting already (Debian's init script, another setup) holds the pid file: then just wait.
        if [ ! -e /run/docker.pid ]; then
            as_root setsid sh -c "exec dockerd >>$engine_log 2>&1" </dev/null >/dev/null 2>&1 &
            started=/proc/$!
        fi
    fi
    local deadline=$((SECONDS + engine_seconds))
    until engine_answers; do
        if [ "$(id -u)" -ne 0 ] && as_root docker version >/dev/null 2>&1 && ! engine_answers; then
            die "the engine answers only root: run 'sudo usermod -aG docker $(id -un)', log in again, and run this again"
        fi
        if [ $SECONDS -ge $deadline ] || { [ -n "$started" ] && [ ! -e "$started" ] && [ ! -e /run/docker.pid ]; }; then
            [ ! -f "$engine_log" ] || as_root tail -n 30 "$engine_log" >&2
            die "no engine answered, after $((SECONDS - deadline + engine_seconds)) s; its log: $engine_log"
        fi
        sleep 0.5 # between two questions
    done
}

# The ports of the tests' labs begin at 9092, 19092 … 39092. The last are among those that the kernel gives to outgoing
# connections, and a lab whose port such a connection has cannot be brought up. Until the machine starts anew.
reserve_ports() {
    local reserved=/proc/sys/net/ipv4/ip_local_reserved_ports
    [ -r $reserved ] && [ -z "$(cat $reserved)" ] || return 0
    { [ "$(id -u)" -eq 0 ] || has sudo; } || return 0
    as_root sh -c "echo 39092-39399 >$reserved" || say "cannot keep the kernel from giving out 39092-39399: a test may find one taken"
}

# The tools run for seconds, so an optimised build, which takes twice as long and more, would never pay.
# Built away from the project, whose .cargo/config.toml is not meant for them.
install_cargo_tool() { # NAME VERSION FOUND [OPTION...]
    ! at_least "$2" "$3" || return 0
    say "building $1 $2"
    (
        cd /
        unset CARGO_TARGET_DIR CARGO_BUILD_TARGET RUSTFLAGS
        CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --debug "${@:4}" "$1@$2"
    )
}

install_compose() {
    local found
    found=$(docker compose version --short 2>/dev/null) || found=
    ! at_least "$compose_least" "${found#v}" || return 0
    if ! has go; then
        say "docker compose ${found:-is missing} (wanted: $compose_least or newer), and there is no Go to build it:"
        say "the tests that ask Compose will FAIL until you install the plugin, or Go and run this again"
        return 0
    fi
    say "building docker compose $compose"
    local plugins=${DOCKER_CONFIG:-$HOME/.docker}/cli-plugins source
    source=$(go mod download -json "github.com/docker/compose/v2@v$compose" | jq -r .Dir)
    mkdir -p "$plugins"
    # Not 'go install MODULE@VERSION', which refuses a module with exclude directives.
    CGO_ENABLED=0 go build -C "$source" -trimpath -o "$plugins/docker-compose.new" \
        -ldflags "-s -w -X github.com/docker/compose/v2/internal.Version=v$compose" ./cmd
    mv "$plugins/docker-compose.new" "$plugins/docker-compose"
    docker compose version >&2
}

dev='' bench=''
case "$#:${1:-}" in
    0:) ;;
    1:--dev) dev=1 ;;
    1:--bench) bench=1 ;;
    *) say "usage: scripts/setup.sh [--dev | --bench]"; exit 2 ;;
esac

install_packages
start_engine
has cargo || die "there is no Rust toolchain: install one with rustup"
if [ "$dev" ]; then
    reserve_ports
    cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
    cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
    install_cargo_tool cargo-nextest $nextest "$(cargo nextest --version 2>/dev/null | awk 'NR == 1 { print $2 }')" \
        --no-default-features --features default-no-update
    install_cargo_tool cargo-deny $deny "$(cargo deny --version 2>/dev/null | awk 'NR == 1 { print $2 }')"
fi
[ -z "$dev$bench" ] || install_compose
say "ready"
