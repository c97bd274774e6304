#!/bin/sh
# Man pages and shell scripts without a complaint.
set -eu
cd "$(dirname "$0")/.."

if command -v mandoc >/dev/null; then
    set -- man/*.[1-8]
    mandoc -T lint -W warning "$@"
    echo "pages: $# man pages are clean"
else
    echo "pages: no mandoc, man pages are not checked"
    [ "${CI:-}" != true ]
fi

scripts=$(grep -rlI --exclude-dir=target --exclude-dir=.git -m 1 '^#!/bin/sh' tests .ci)
if command -v shellcheck >/dev/null; then
    # shellcheck disable=SC2086 # several words are meant
    shellcheck $scripts
    echo "pages: $(echo "$scripts" | wc -l) scripts are clean"
else
    echo "pages: no shellcheck, scripts are not checked"
fi
