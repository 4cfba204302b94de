#!/usr/bin/env bash
# Installs hilum into a virtual environment with the versions pinned in constraints.txt. Safe to run again: a
# development install that is up to date returns at once. Used by the Makefile, the Dockerfile and .ci/run.
#
#   scripts/install.sh              for development: editable, with the tools and test oracles, into .venv
#   scripts/install.sh --runtime    what a user needs and no more, not editable
#
# From the environment: VENV (folder, default .venv), PYTHON (interpreter, default python3), TORCH_INDEX (package
# index to take torch from, such as one of CPU builds; default: pip's own).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv="${VENV:-.venv}"
python="${PYTHON:-python3}"
torch_index="${TORCH_INDEX:-}"
case "${1:-}" in
    "") mode=development; target=(--editable ".[dev]") ;;
    --runtime) mode=runtime; target=(".") ;;
    *) echo "scripts/install.sh: unknown argument '$1'; expected --runtime or none" >&2; exit 2 ;;
esac

# An editable install is up to date if the files that decide it, and where it points to, are what they were.
fingerprint() {
    { cat pyproject.toml constraints.txt hatch_build.py scripts/install.sh; echo "$PWD $mode $torch_index"; } | cksum
}
niivue=src/hilum/report/viewer/niivue.umd.js
stamp="$venv/.installed"
if [[ $mode == development && -x "$venv/bin/hilum" && -f "$stamp" && "$(<"$stamp")" == "$(fingerprint)" ]] \
    && { [[ -f "$niivue" ]] || ! command -v npm >/dev/null; }; then
    exit 0
fi

if [[ ! -x "$venv/bin/python" ]]; then
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        echo "scripts/install.sh: hilum needs Python 3.11 or newer, '$python' is not. Name one: PYTHON=python3.11" >&2
        exit 2
    fi
    "$python" -m venv "$venv"
fi

log="$venv/install.log"
: >"$log"
install() {
    if ! "$venv/bin/python" -m pip install --disable-pip-version-check --constraint constraints.txt "$@" >>"$log" 2>&1; then
        grep -v '^WARNING' "$log" | tail -n 20 >&2
        echo "scripts/install.sh: pip failed, all of its output is in $log" >&2
        exit 1
    fi
}

echo "Installing hilum ($mode) into $venv, a few minutes the first time; progress in $log" >&2
rm -f "$stamp"
# torch goes first and alone: whatever asks for it later then keeps this build instead of the registry's newest one.
install --no-deps ${torch_index:+--index-url "$torch_index"} torch
install "${target[@]}"
if [[ ! -f "$niivue" ]]; then
    echo "scripts/install.sh: NiiVue was not unpacked (no npm, or no network): hilum view will say how to get it" >&2
fi
fingerprint >"$stamp"
