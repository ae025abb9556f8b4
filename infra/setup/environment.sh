#!/usr/bin/env bash
# Makes .venv as requirements.lock says (every file checked against its hash), with this tree installed into it.
set -euo pipefail
cd "$(dirname "$0")/../.."

new_enough() { # a pyenv shim exists for versions that are not chosen: ask by running it
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3.13 python3.12 python3.11 python3.14 python3; do
        if new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    echo "Consign needs Python 3.11 or newer, and found $(python3 --version 2>&1 || echo none)." >&2
    echo "Install one (Debian 12: apt-get install python3 python3-venv), or name it: make PYTHON=/path/to/python3" >&2
    return 1
}

install_venv_module() {
    local as_root=""
    command -v apt-get >/dev/null 2>&1 || return 1
    if [ "$(id -u)" != 0 ]; then
        as_root="sudo -n"
        sudo -n true >/dev/null 2>&1 || return 1
    fi
    echo "Installing python3-venv" >&2
    { $as_root apt-get update -qq &&
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv
    } >/dev/null 2>&1 </dev/null
}

make_venv() {
    "$1" -c 'import ensurepip, venv' >/dev/null 2>&1 || install_venv_module || true
    if ! "$1" -m venv .venv >/dev/null; then
        rm -rf .venv
        echo "Python has no working venv module. On Debian and Ubuntu: apt-get install python3-venv" >&2
        return 1
    fi
}

count_along() { # one line that counts where a person looks on; nothing in a log
    local total=$1 n=0 line
    while IFS= read -r line; do
        case $line in
            Collecting\ *|Requirement\ already\ satisfied*)
                n=$((n + 1))
                [ ! -t 2 ] || printf '\r\033[K  %d of about %d: %s' "$n" "$total" "${line#* }" | cut -c1-100 | tr -d '\n' >&2 ;;
            Installing\ collected*)
                [ ! -t 2 ] || printf '\r\033[K  unpacking' >&2 ;;
        esac
    done
    [ ! -t 2 ] || printf '\r\033[K' >&2
}

python=$(find_python)
new_enough .venv/bin/python || { rm -rf .venv; make_venv "$python"; }

pip() { .venv/bin/python -m pip --disable-pip-version-check --no-input "$@"; }
echo "Installing into .venv (once; one to three minutes) …" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# the lock is whole: nothing is left to resolve, and a resolver would only look past its pins
if ! pip install --require-hashes --no-deps --progress-bar off -r requirements.lock 2>"$log" </dev/null |
    count_along "$(grep -c '==' requirements.lock)"; then
    tail -n 20 "$log" >&2
    echo "The installation failed; what pip said is above. Run make again to go on from here." >&2
    exit 1
fi
pip install --quiet --no-deps --no-build-isolation -e . </dev/null
.venv/bin/python -m pip check >/dev/null || { .venv/bin/python -m pip check >&2; exit 1; }
