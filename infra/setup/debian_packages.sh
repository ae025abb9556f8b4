#!/usr/bin/env bash
# Installs the Debian packages that the tests use, where this machine allows it, and says in one line what is left out.
#
# Nothing is started and nothing is enabled: the tests start their own sshd and their own PostgreSQL, on loopback, and
# throw them away. Exit code 0 even when something is missing, except under CI=true: there a missing one is a failure.
set -euo pipefail
export PATH="$PATH:/usr/sbin:/sbin"

# What the tests call -> the package that brings it -> what is not tested without it.
needs=(
    "sshd|openssh-server|delivery to a real SSH server"
    "proftpd|proftpd-core|delivery to ProFTPD"
    "mod_sftp.so|proftpd-mod-crypto|delivery to ProFTPD"
    "dropbear|dropbear-bin|delivery to Dropbear"
    "sftp|openssh-client|the sftp floor of the benchmarks"
    "ssh-keygen|openssh-client|signatures as an agency checks them"
    "gpg|gnupg|the openpgp suite"
    "age|age|packages opened with age alone"
    "zip|zip|packages as an agency makes them by hand"
    "unzip|unzip|packages as an agency opens them by hand"
    "initdb|postgresql|the store on PostgreSQL"
    "hledger|hledger|the books checked by hledger"
    "wqy-microhei.ttc|fonts-wqy-microhei|statements in Chinese with their font inside"
    "chromium|chromium|the console in a browser"
    "pdftotext|poppler-utils|statements read back from their PDF"
)

present() {
    command -v "$1" >/dev/null 2>&1 && return 0
    [ "$1" = wqy-microhei.ttc ] && [ -e /usr/share/fonts/truetype/wqy/wqy-microhei.ttc ] && return 0
    # Debian keeps the server's programs out of PATH, one folder per version.
    [ "$1" = mod_sftp.so ] && compgen -G '/usr/lib*/proftpd/mod_sftp.so' >/dev/null && return 0
    [ "$1" = initdb ] && compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null
}

missing() { # field 1: program, 2: package, 3: consequence
    local need program
    for need in "${needs[@]}"; do
        program=${need%%|*}
        present "$program" || cut -d'|' -f"$1" <<<"$need"
    done
}

as_root=""  # or "sudo -n"; words, since an empty array is an error to the bash of macOS
may_install() {
    command -v apt-get >/dev/null 2>&1 || return 1
    [ "$(id -u)" = 0 ] && return 0
    as_root="sudo -n"
    command -v sudo >/dev/null 2>&1 && sudo -n true >/dev/null 2>&1
}

install_quietly() {
    local policy=/usr/sbin/policy-rc.d made_policy="" log
    log=$(mktemp)
    # 101 is Debian's "not allowed": invoke-rc.d then starts no service. Taken away again below.
    if [ ! -e "$policy" ]; then
        made_policy=yes
        printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
        $as_root chmod 755 "$policy"
    fi
    local done_well=yes
    {
        $as_root apt-get update -qq &&
            $as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
                apt-get install -y -qq --no-install-recommends "$@"
    } >"$log" 2>&1 </dev/null || done_well=""
    [ -z "$made_policy" ] || $as_root rm -f "$policy"
    # Not at the next boot either.
    local unit
    if command -v systemctl >/dev/null 2>&1; then
        for unit in ssh.service ssh.socket:openssh-server postgresql.service:postgresql proftpd.service:proftpd-core; do
            case " $* " in *" ${unit##*:} "*) $as_root systemctl disable "${unit%%:*}" >/dev/null 2>&1 || true ;; esac
        done
    fi
    if [ -z "$done_well" ]; then
        echo "apt-get could not install $*; its last lines:" >&2
        tail -n 5 "$log" >&2
    fi
    rm -f "$log"
}

wanted=$(missing 2 | sort -u | paste -sd ' ' -)
if [ -n "$wanted" ] && may_install; then
    echo "Installing for the tests: $wanted" >&2
    # shellcheck disable=SC2086  # package names, one word each
    install_quietly $wanted
fi

left_out=$(missing 3 | sort -u | paste -sd ';' - | sed 's/;/; /g')
[ -n "$left_out" ] || exit 0
echo "Left out for want of $(missing 2 | sort -u | paste -sd ' ' -): $left_out." >&2
[ "${CI:-}" != true ]
