# What all tools share: messages, root or sudo, the cache folder, timed steps. Source it; it runs nothing by itself.
# shellcheck shell=bash

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TOOL=$(basename "$0")
# Downloads and builds that do not belong to one clone live here, so that a second clone is quick.
CACHE=${STEPMILL_CACHE:-${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/stepmill}

# Pinned versions; the folders in the cache carry them in their names, so a new version never meets an old folder.
# (tools/kafka-libs/pom.xml names Kafka's version for Maven, tests/e2e/dead-letter-writers/pom.xml that of Streams and Connect: keep
# them equal to these; Streams writes dead letters since 4.2.)
KAFKA_VERSION=4.1.1
STREAMS_VERSION=4.2.0
REGISTRY_VERSION=3.0.9
# shellcheck disable=SC2034  # used by the tools that source this file
KAFKA_LIBS=$CACHE/kafka-$KAFKA_VERSION WRITERS_LIBS=$CACHE/dead-letter-writers-$STREAMS_VERSION REGISTRY_HOME=$CACHE/apicurio-registry-$REGISTRY_VERSION

say() { printf '%s: %s\n' "$TOOL" "$*"; }
warn() { printf '%s: %s\n' "$TOOL" "$*" >&2; }
die() { warn "$*"; exit 1; }
usage_error() { warn "$* (see $TOOL --help)"; exit 2; }

# Prints the comment block below a script's first line: the comment is the manual.
help_text() { awk 'NR > 1 && !/^#/ { exit } NR > 1 { sub(/^# ?/, ""); print }' "$0"; }

# librdkafka built with the thread sanitizer; its lib/pkgconfig goes before the system's in PKG_CONFIG_PATH.
# shellcheck disable=SC2034
TSAN_LIBS=$CACHE/librdkafka-tsan

# The Python of the end-to-end tests: one folder per content of the requirements file.
venv_dir() { printf '%s/venv-%.12s\n' "$CACHE" "$(sha256sum < "$REPO/tests/e2e/requirements.txt")"; }

# The mirror this machine's apt uses for its own release, without asking any other.
debian_mirror() {
    local found=${STEPMILL_DEBIAN_MIRROR:-}
    # shellcheck disable=SC2016  # apt fills these in, not the shell
    [ -n "$found" ] || found=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT) $(ORIGIN)' 'Created-By: Packages' |
        awk '!found && $2 !~ /-/ && $3 == "main" && $4 == "Debian" { print $1; found = 1 }')
    [ -n "$found" ] || { echo "no Debian mirror in this machine's apt sources; name one in STEPMILL_DEBIAN_MIRROR"; return 1; }
    echo "${found%/}"
}

# as_root CMD...: runs CMD as root, by sudo if need be.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo > /dev/null; then
        sudo "$@"
    else
        warn "needs root for: $*"
        warn "next: run it as root, or install sudo"
        return 1
    fi
}

# step WHAT CMD...: runs CMD with its output in a log, prints one line with the time it took. If CMD fails: the end of
# the log, where the whole log is, and exit 1. On a terminal the seconds count up while it runs.
step() {
    local what=$1 log begin pid took
    shift
    mkdir -p "$CACHE/log"
    log=$CACHE/log/$TOOL-$(printf '%s' "$what" | tr -cs 'A-Za-z0-9.\n' '-').log
    begin=$SECONDS
    [ -t 1 ] || printf '%s: %s ... ' "$TOOL" "$what"
    ( set -e; "$@" ) > "$log" 2>&1 < /dev/null &
    pid=$!
    while [ -t 1 ] && kill -0 "$pid" 2> /dev/null; do
        printf '\r%s: %s ... %d s' "$TOOL" "$what" $((SECONDS - begin))
        sleep 0.2
    done
    if wait "$pid"; then
        took=$((SECONDS - begin))
        if [ -t 1 ]; then printf '\r%s: %s ... ok, %d s\n' "$TOOL" "$what" "$took"; else printf 'ok, %d s\n' "$took"; fi
        return
    fi
    printf 'FAILED\n'
    tail -n 20 "$log" | sed 's/^/    /' >&2
    warn "failed: $what"
    warn "the whole log: $log"
    warn "next: mend what the log names (network, disk space, apt sources), then run the same command again; what is done is kept"
    exit 1
}
