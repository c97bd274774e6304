#!/bin/sh
# Runs every fuzz target for FUZZ_SECONDS, or those that are named. Stops at the first that finds something: cargo-fuzz then
# says which input it was, and how to try it again.
set -eu
cd "$(dirname "$0")/../.."

if ! cargo +nightly --version >/dev/null 2>&1; then
    echo 'fuzz: needs the nightly toolchain; rustup toolchain install nightly' >&2
    exit 1
fi
if ! cargo fuzz --version >/dev/null 2>&1; then
    echo 'fuzz: no cargo-fuzz; cargo install --locked cargo-fuzz' >&2
    exit 1
fi

cargo +nightly fuzz build --fuzz-dir tests/fuzz
targets=${*:-$(cargo +nightly fuzz list --fuzz-dir tests/fuzz)}
for target in $targets; do
    echo "fuzz: $target"
    cargo +nightly fuzz run --fuzz-dir tests/fuzz "$target" -- -max_total_time="${FUZZ_SECONDS:-30}" \
        -dict=tests/fuzz/words -max_len=1024 -len_control=0 -timeout=10 -print_final_stats=1
done
