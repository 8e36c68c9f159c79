#!/bin/sh
# The argument rules of registry:2 and registry:3: a configuration file is served, and what the registry has a command for
# goes to it, as options do. Anything else is run as it is.
# For the first process of a container the kernel has no default: docker stop would be lost without a trap.
trap 'exit 143' TERM
trap 'exit 130' INT
set -e

case "$1" in
    *.yaml|*.yml) set -- /bin/registry serve "$@" ;;
    -*) set -- /bin/registry "$@" ;;
    *) if grep -qxFe "$1" /opt/registry/share/commands; then set -- /bin/registry "$@"; fi ;;
esac

exec "$@"
