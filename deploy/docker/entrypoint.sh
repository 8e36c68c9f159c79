#!/bin/sh
# The argument rules of registry:2 and registry:3.
set -e

case "$1" in
    *.yaml|*.yml) set -- /bin/registry serve "$@" ;;
    serve|garbage-collect|config|referrers|probe|htpasswd|auth|help|-*) set -- /bin/registry "$@" ;;
esac

exec "$@"
