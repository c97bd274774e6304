#!/bin/sh
# Sees to the clients and peers that the tests use: as root on Debian installs those that are not there; elsewhere says
# which tests will be skipped for want of them. Nothing that it installs is started.
set -u

# program:package, one a line
wanted="
curl:curl
dovecot:dovecot-core
fail2ban-regex:fail2ban
fetchmail:fetchmail
getmail:getmail6
mandoc:mandoc
mbsync:isync
mutt:mutt
neomutt:neomutt
offlineimap:offlineimap3
perl:perl-base
python3:python3
shellcheck:shellcheck
strace:strace
systemd-analyze:systemd
/usr/bin/checkpw:checkpw
/usr/bin/cvm-checkpassword:cvm
/usr/lib/dovecot/imap:dovecot-imapd
/usr/lib/dovecot/pop3:dovecot-pop3d
"

missing() {
    for pair in $wanted; do
        command -v "${pair%:*}" >/dev/null 2>&1 || echo "$pair"
    done
}

packages=$(missing | sed 's/.*://' | tr '\n' ' ')
if [ -n "$packages" ] && [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "tools: installing $packages"
    # Debian starts servers as it installs them, unless this says no.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086 # several words are meant
    { apt-get update -q && apt-get install -q -y --no-install-recommends $packages; } >/dev/null ||
        echo "tools: apt-get failed" >&2
fi

for pair in $(missing); do
    echo "tools: no ${pair%:*} (Debian: ${pair#*:}); tests that need it are skipped"
done

# Libraries that are not Debian's: they go where the build is, and nowhere else.
libraries=$(dirname "$0")/../target/clients
# Debian's package of CrowdSec would tell its makers of this machine when it is installed: it is only unpacked.
if [ ! -e "$libraries/crowdsec" ] && command -v dpkg-deb >/dev/null 2>&1; then
    unpacked=$(mktemp -d)
    # shellcheck disable=SC2015 # whatever of it fails, there is none
    (cd "$unpacked" && apt-get download -q crowdsec && dpkg-deb -x crowdsec_*.deb crowdsec) >/dev/null 2>&1 &&
        mkdir -p "$libraries" && mv "$unpacked/crowdsec" "$libraries/" ||
        echo "tools: no crowdsec (Debian: crowdsec); tests that need it are skipped"
    rm -rf "$unpacked"
fi
if [ ! -e "$libraries/python/imapclient" ]; then
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
        --target "$libraries/python" imapclient==4.1.0 >/dev/null 2>&1 ||
        echo "tools: no imapclient (PyPI); tests that need it are skipped"
fi
if [ ! -e "$libraries/node_modules/imapflow" ]; then
    npm install --silent --no-fund --no-audit --prefix "$libraries" imapflow@2.10.2 >/dev/null 2>&1 ||
        echo "tools: no imapflow (npm); tests that need it are skipped"
fi
