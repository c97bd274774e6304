#!/bin/sh
# What the compiler does not see to: unsafe code, changes of identity, globals and looks at the process's environment stand
# only where the design has a place for them. Prints each line that stands elsewhere, and fails.
#
# Comments are left out, and for all but unsafe code the tests: whole files of them, and what follows #[cfg(test)].
set -eu
cd "$(dirname "$0")/.."

# Each of these says at its head what is unsafe about it, and each block why it is not; clippy sees to the latter.
unsafe_fences='fdpass/src/inherited.rs
lib/ioloop/src/readiness.rs
mail-master/src/spawn.rs
mail-worker/src/environ.rs
tests/attacker/src/lib.rs'

identity_fences='lib/confine/src/identities.rs
lib/confine/src/programs.rs
mail-jail/src/jail.rs
mail-master/src/spawn.rs
mail-worker/src/identity.rs'

# The C library's environ is one.
global_fences=mail-worker/src/environ.rs

# A program's environment is read by its main function, and from there on is an argument.
environment_fences='[^:]*/src/main.rs'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
find . \( -name target -o -name .git \) -prune -o -name '*.rs' -print | sed 's,^\./,,' | sort >"$work/files"
grep -vE '(^|/)(tests|benches|fuzz)/|/tests\.rs$' "$work/files" >"$work/shipped"

# The lines of the files named in FILE as path:number:text, less comments: lines FILE [a pattern that ends a file]
lines() {
    while read -r file; do
        awk -v file="$file" -v last="${2:-^$^}" '
            $0 ~ last { exit }
            { sub(/(^|[ \t])\/\/.*/, ""); print file ":" FNR ":" $0 }' "$file"
    done <"$1"
}
lines "$work/files" >"$work/all.lines"
lines "$work/shipped" '^#\[cfg\(test\)\]' >"$work/shipped.lines"
xargs grep -l '\bCommandExt\b' <"$work/shipped" >"$work/commands"
lines "$work/commands" '^#\[cfg\(test\)\]' >"$work/commands.lines"

failed=0
# No line of LINES matches PATTERN but in the files of FENCES: rule WHAT LINES PATTERN [FENCES]
rule() {
    fences=$(echo "${4:-none}" | paste -sd '|' -)
    found=$(grep -E "^[^:]*:[0-9]+:.*($3)" "$work/$2" | grep -vE "^($fences):" || true)
    if [ -n "$found" ]; then
        printf '%s\n%s\n\n' "fences: $1" "$found"
        failed=1
    fi
}

rule 'unsafe code outside of the fences' all.lines \
    '\bunsafe (\{|fn|impl|extern)|allow\(.*unsafe_code' "$unsafe_fences"
rule 'identity is changed outside of the fences' shipped.lines \
    '(^|[^"_[:alnum:]])(set(e|re|res|fs)?[ug]id|setgroups|initgroups|SYS_set(e|re|res)?[ug]id|SYS_setgroups)\b' \
    "$identity_fences"
rule 'a child with another identity outside of the fences' commands.lines '\.(uid|gid|groups)\([^)]' "$identity_fences"
rule 'a global' shipped.lines \
    '\bstatic mut\b|\bthread_local!|\b(Once|Lazy)Lock\b|\blazy_static!|\bonce_cell\b|\bstatic [A-Z_0-9]+: *[A-Za-z:]*(Atomic|Cell|Mutex|RwLock)' \
    "$global_fences"
rule 'the process'\''s environment outside of main' shipped.lines \
    '\b(std::)?env::(vars?(_os)?|set_var|remove_var|args(_os)?|current_exe|current_dir|home_dir|temp_dir)\b|\buse std::env\b' \
    "$environment_fences"
if xargs grep -nE '#\[ignore\]|\btodo!|\bunimplemented!|\bTODO\b|\bFIXME\b' <"$work/files"; then
    echo "fences: unfinished"
    failed=1
fi

# A fence without anything in it is none.
for file in $unsafe_fences; do
    if ! grep -qE '\bunsafe \{' "$file" 2>/dev/null; then
        echo "fences: $file: named as a fence, and nothing in it is unsafe"
        failed=1
    fi
done

# Every crate forbids unsafe code; one that has a fence may only deny it.
grep -E '^([^/]*/|lib/[^/]*/)src/(main|lib)\.rs$' "$work/files" >"$work/heads"
while read -r head; do
    crate=${head%/src/*}
    level=forbid
    case $unsafe_fences in *"$crate/"*) level='(forbid|deny)' ;; esac
    if ! grep -qE "^#!\[$level\(unsafe_code\)\]" "$head"; then
        echo "fences: $head: should begin with #![$level(unsafe_code)]"
        failed=1
    fi
done <"$work/heads"

# A file is about one thing, and begins by saying which.
while read -r file; do
    length=$(wc -l <"$file")
    if [ "$length" -gt 600 ]; then
        echo "fences: $file: $length lines; what second thing is it about?"
        failed=1
    fi
    if ! head -n 1 "$file" | grep -q '^//!'; then
        echo "fences: $file: should begin with a paragraph that says what it is"
        failed=1
    fi
done <"$work/shipped"

[ "$failed" -eq 0 ] && echo "fences: $(wc -l <"$work/files") files stay within them"
exit $failed
