#!/usr/bin/env bash
# Runs one step of `make check`: says its name first and its time last, and passes its exit code on.
set -uo pipefail
name=$1
shift
printf '== %s\n' "$name"
began=$SECONDS
"$@"
code=$?
[ "$code" -eq 0 ] && verdict=ok || verdict="FAILED ($code)"
printf -- '-- %s: %s, %d s\n' "$name" "$verdict" "$((SECONDS - began))"
exit "$code"
