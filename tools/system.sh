#!/usr/bin/env bash
# What the system must have: looks, and names the command that installs what is missing.
#
#   tools/system.sh python PYTHON   Python 3.11 or newer, with venv
#   tools/system.sh rust            a Rust toolchain and a C compiler
#   tools/system.sh tests           what some tests use: installed when we are root, else named
#   tools/system.sh bench           what the bench compares with: likewise
set -euo pipefail

missing() {
  printf 'headworks: %s\n' "$1" >&2
  shift
  printf '  install it with: %s\n' "$@" >&2
  exit 1
}

have_python() {
  local python=$1
  command -v "$python" >/dev/null ||
    missing "there is no $python" "apt-get install python3 python3-venv   (or: make PYTHON=/path/to/python3.11)"
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    missing "$python is $("$python" --version 2>&1), and 3.11 is needed" \
      "apt-get install python3.11 python3.11-venv   (then: make PYTHON=python3.11)"
  "$python" -c 'import ensurepip, venv' 2>/dev/null ||
    missing "$python has no venv" "apt-get install python3-venv"
}

have_rust() {
  command -v cargo >/dev/null ||
    missing "there is no Rust toolchain (cargo)" "curl --proto '=https' -sSf https://sh.rustup.rs | sh"
  local wanted found
  wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
  found=$(rustc --version | cut -d' ' -f2)
  [ "$(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -n 1)" = "$wanted" ] ||
    missing "Rust $wanted is needed, and rustc is $found" "rustup update stable"
  cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 ||
    missing "cargo fmt or cargo clippy is missing" "rustup component add rustfmt clippy"
  command -v cc >/dev/null ||
    missing "there is no C compiler (cc), which Rust links with" "apt-get install build-essential"
}

# Arguments: COMMAND=PACKAGE ... ; a COMMAND with a slash is a file that must exist.
have_packages() {
  local pair wanted=() what=$1
  shift
  for pair in "$@"; do
    case "${pair%%=*}" in
      /*) compgen -G "${pair%%=*}" >/dev/null || wanted+=("${pair#*=}") ;;
      *) PATH="$PATH:/usr/sbin:/sbin" command -v "${pair%%=*}" >/dev/null || wanted+=("${pair#*=}") ;;
    esac
  done
  [ ${#wanted[@]} -eq 0 ] && return
  if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    printf 'installing: %s\n' "${wanted[*]}"
    # What is installed is run by tests alone: RUNLEVEL=1 keeps Debian from starting it as a service.
    export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
    install() { apt-get install -qq -y --no-install-recommends "${wanted[@]}" >/dev/null; }
    install || { apt-get update -qq && install; } && return
  fi
  printf 'headworks: %s: without %s. To have all: apt-get install %s\n' "$what" "${wanted[*]}" "${wanted[*]}" >&2
}

case "${1:-}" in
  python) have_python "${2:-python3}" ;;
  rust) have_rust ;;
  tests)
    have_packages 'some tests will be skipped' curl=curl openssl=openssl strace=strace ss=iproute2 \
      valgrind=valgrind nginx=nginx wrk=wrk h2load=nghttp2-client unbound=unbound \
      promtool=prometheus rsyslogd=rsyslog iptables=iptables
    ;;
  bench)
    have_packages 'some competitors will be skipped' haproxy=haproxy nginx=nginx \
      '/usr/lib/nginx/modules/ngx_stream_module.so=libnginx-mod-stream' \
      '/usr/lib/nginx/modules/ngx_http_js_module.so=libnginx-mod-http-js' sniproxy=sniproxy wrk=wrk \
      h2load=nghttp2-client openssl=openssl
    ;;
  *)
    printf 'usage: tools/system.sh python|rust|tests|bench\n' >&2
    exit 2
    ;;
esac
