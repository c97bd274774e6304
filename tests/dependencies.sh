#!/bin/sh
# What is depended on: used, explained in the README, and of a licence and source that we want. With CI=true the tools are
# installed where they are missing; else that they are is said.
set -eu
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sed -n '/^\[workspace.dependencies\]/,/^\[workspace.lints/p' Cargo.toml | grep -v ' = { path = ' |
    sed -n 's/^\([a-z0-9_-]*\) = .*/\1/p' >"$work/wanted"
grep -o '(https://docs.rs/[a-z0-9_-]*)' README.md | sed 's,.*/\(.*\)),\1,' >"$work/explained"
sed -n 's/^\([a-z0-9_-]*\)\.workspace.*/\1/p' ./*/Cargo.toml lib/*/Cargo.toml >"$work/used"

failed=0
# Names of WANTED must stand in LIST: lacking LIST WANTED COMPLAINT
lacking() {
    if found=$(grep -vxF -f "$1" "$2"); then
        printf 'dependencies: %s:\n%s\n' "$3" "$found"
        failed=1
    fi
}
lacking "$work/used" "$work/wanted" 'in Cargo.toml, and used by nothing'
lacking "$work/explained" "$work/wanted" 'README.md does not say what it spares us'
lacking "$work/wanted" "$work/explained" 'in README.md, and not in Cargo.toml'
[ "$failed" -eq 0 ]

tool() {
    command -v "$1" >/dev/null && return
    if [ "${CI:-}" = true ]; then
        cargo install --locked --quiet "$1"
    else
        echo "dependencies: no $1; cargo install --locked $1"
        return 1
    fi
}

if tool cargo-deny; then
    cargo deny --log-level warn check licenses bans sources
fi
if tool cargo-machete; then
    cargo machete --with-metadata
fi
