#!/usr/bin/env bash
# Prints how many tests a log of `make check` tells of: cargo's and pytest's own sums, added up.
set -euo pipefail
awk '
  /^test result: / { for (i = 2; i <= NF; i++) { if ($i ~ /^passed/) rust += $(i-1); if ($i ~ /^failed/) bad += $(i-1) } }
  /^=+ .*(passed|failed|error).* in [0-9.]+s/ {
    for (i = 2; i <= NF; i++) {
      if ($i ~ /^passed/) python += $(i-1)
      if ($i ~ /^skipped/) skipped += $(i-1)
      if ($i ~ /^(failed|errors?)/) bad += $(i-1)
    }
  }
  END { printf "tests: %d Rust and %d Python passed, %d skipped, %d failed\n", rust, python, skipped, bad }
' "$1"
