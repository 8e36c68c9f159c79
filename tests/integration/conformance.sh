#!/bin/bash
# Run the OCI conformance program with everything on, against a server of our own on a free port.
#   tests/integration/conformance.sh [RESULTS_DIR]
# SERVER_UNDER_TEST names another program than ours ("docker-registry serve"), SHOW how many lines about failures are printed.
# STORAGE is the storage to use instead of a directory, as YAML: $'s3: {bucket: images}\n  redirect: {disable: true}'. The program
# follows redirects and then misses headers that only a registry sends.
# Then only the first of the runs is made: the others do not depend on the storage.
# Exit status 1: some check failed, was skipped as unsupported, or the program did not run.
set -euo pipefail

readonly MODULE=github.com/opencontainers/distribution-spec/conformance
readonly VERSION=v0.0.0-20260831232431-97274622c111

cd "$(dirname "$0")/../.."
results=$(realpath -m "${1:-results/conformance}")
bin=${VENV:-.venv}/bin
if [[ -n ${SERVER_UNDER_TEST:-} ]]; then read -ra serve <<<"$SERVER_UNDER_TEST"; else serve=("$bin/registry" serve); fi

work=$(mktemp -d)
server=
stop() {
    [[ -z $server ]] || { kill "$server" 2>/dev/null && wait "$server" || true; }
    server=
}
trap 'stop; rm -rf "$work"' EXIT

command -v go >/dev/null || { echo "conformance: go is missing" >&2; exit 1; }
GOBIN=$work/bin go install "$MODULE@$VERSION"

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# start NAME: read the rest of the configuration from standard input, listen on $port
start() {
    port=$(free_port)
    mkdir -p "$work/$1"
    {
        cat <<EOF
version: 0.1
log: {level: info}
storage:
  ${STORAGE:-filesystem: {rootdirectory: $work/$1\}}
  delete: {enabled: true}
http: {addr: 127.0.0.1:$port, secret: conformance}
EOF
        cat
    } >"$work/$1.yml"
    "${serve[@]}" "$work/$1.yml" >"$results/$1.server.log" 2>&1 &
    server=$!
    for _ in {1..300}; do
        answers "$port" && return
        kill -0 "$server" 2>/dev/null || break
        sleep 0.1
    done
    echo "conformance: the server did not start:" >&2
    cat "$results/$1.server.log" >&2
    exit 1
}

# check NAME SPARSE [VARIABLE=VALUE...]: all of the program's tests, except what the variables switch off;
# print the totals, and what is not a pass
check() {
    env -u OCI_CONFIGURATION \
        OCI_REGISTRY="127.0.0.1:$port" OCI_TLS=disabled OCI_VERSION=1.1 OCI_LOG=error OCI_RESULTS_DIR="$results/$1" \
        OCI_API_PING=true OCI_API_PULL=true OCI_API_PUSH=true OCI_API_REFERRER=true \
        OCI_API_BLOBS_ATOMIC=true OCI_API_BLOBS_DELETE=true OCI_API_BLOBS_DIGEST_HEADER=true \
        OCI_API_BLOBS_MOUNT_ANONYMOUS=true OCI_API_BLOBS_UPLOAD_CANCEL=true \
        OCI_API_MANIFESTS_ATOMIC=true OCI_API_MANIFESTS_DELETE=true OCI_API_MANIFESTS_DIGEST_HEADER=true \
        OCI_API_MANIFESTS_TAG_PARAM=true \
        OCI_API_TAGS_ATOMIC=true OCI_API_TAGS_DELETE=true OCI_API_TAGS_LIST=true \
        OCI_DATA_IMAGE=true OCI_DATA_INDEX=true OCI_DATA_INDEX_LIST=true OCI_DATA_SPARSE="$2" \
        OCI_DATA_ARTIFACT=true OCI_DATA_ARTIFACT_LIST=true \
        OCI_DATA_SUBJECT=true OCI_DATA_SUBJECT_MISSING=true OCI_DATA_SUBJECT_LIST=true \
        OCI_DATA_DATA_FIELD=true OCI_DATA_NONDISTRIBUTABLE=true OCI_DATA_CUSTOM_FIELDS=true \
        OCI_DATA_NO_LAYERS=true OCI_DATA_EMPTY_BLOB=true OCI_DATA_SHA512=true \
        "${@:3}" "$work/bin/conformance" >"$results/$1.txt" 2>&1 || true # its exit status is 0 where it could not run
    echo "== $1: $results/$1.txt"
    # What failed, was skipped or went wrong, down to the single check and its reason.
    sed '1d;/^Configuration:/,$d;/: Pass$/d' "$results/$1.txt" | cut -c-200 | head -n "${SHOW:-60}"
    sed -n '/^OCI Conformance Result/,/^$/p;/^API conformance/,/^$/p' "$results/$1.txt"
    grep -q '^  Total\.*: *[1-9]' "$results/$1.txt" || { cat "$results/$1.txt"; echo "conformance: $1 did not run"; failed=1; }
    ! grep -qE '^  (Skip|FAIL|Error)\.*: *[1-9]' "$results/$1.txt" || failed=1
}

# Print the totals, and exit.
finish() {
    [[ -z $failed ]] || { echo "conformance: FAILED"; exit 1; }
    echo "conformance: every check of all runs passed"
    exit
}

failed=
mkdir -p "$results"

# The default configuration, except that URLs of layers are allowed: by default none are, as in the Go registry.
start default <<'EOF'
validation: {manifests: {urls: {allow: ['^https://store\.example\.com/']}}}
EOF
check default false
stop

if [[ -n ${STORAGE:-} ]]; then finish; fi

# Manifests that name what was never pushed are stored only if the configuration allows it.
start sparse <<'EOF'
validation: {manifests: {sparse: true, urls: {allow: ['^https://store\.example\.com/']}}}
EOF
check sparse true
stop

# With a password, as in the Go registry.
readonly credentials=(OCI_USERNAME=alice OCI_PASSWORD=wonderland)
"$bin/registry" htpasswd alice --file "$work/users" --password-stdin <<<wonderland >/dev/null
start htpasswd <<EOF
auth: {htpasswd: {realm: conformance, path: $work/users}}
validation: {manifests: {urls: {allow: ['^https://store\.example\.com/']}}}
EOF
check htpasswd false "${credentials[@]}"
stop

# With our own token service. A caller who may not read every repository must say where a blob is mounted from.
if [[ -z ${SERVER_UNDER_TEST:-} ]]; then
    start local <<EOF
auth: {local: {htpasswd: $work/users, rules: [{repositories: '**', 'user:alice': ['*']}]}}
validation: {manifests: {urls: {allow: ['^https://store\.example\.com/']}}}
EOF
    check local false "${credentials[@]}" OCI_API_BLOBS_MOUNT_ANONYMOUS=false
    stop
fi

finish
