#!/usr/bin/env bash
# setup.sh PYTHON VENV [EXTRA...]: makes the virtual environment with the tested versions. Run by `make setup`, with extras of
# setup.py beyond `train`, which is left out where there is no fairseq for the Python: from 3.13
# on the bridge stands alone.
# Unpacked from a bundle (make bundle), it installs the wheels that came with it, asks no network, and takes what is not
# among them from the Python itself.
set -euo pipefail
python=$1 venv=$2 extras=$(IFS=,; echo "${*:3}")

if ! "$python" -c '' 2>/dev/null; then
    # A pyenv shim answers only for the versions pyenv has switched on: take the newest installed one.
    python=$(find "$(pyenv root)/versions" -path "*/bin/$(basename "$1")" 2>/dev/null | sort -V | tail -n 1)
fi
if [ -z "$python" ] || ! "$python" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))'; then
    echo "setup: '$1' is not a Python 3.11 or later with venv; name one with PYTHON=..." >&2
    exit 1
fi
if [ -d wheels ]; then
    echo "setup: installing what is in wheels/ into $venv, the rest is that of $python"
    "$python" -m venv "$venv"
    "$venv/bin/python" -m pip --disable-pip-version-check install -qq --no-index --no-deps wheels/*.whl
    "$python" -c 'import sys; print(*(path for path in sys.path if path.endswith("-packages")), sep="\n")' |
        "$venv/bin/python" tools/offline.py
    exit
fi
[ -x "$venv/bin/pip" ] || "$python" -m venv "$venv"
"$python" -c 'import sys; sys.exit(sys.version_info >= (3, 13))' && extras=train${extras:+,$extras}
install() { "$venv/bin/python" -m pip --disable-pip-version-check install -qq --no-compile "$@"; }
echo "setup: installing into $venv (the first time takes a few minutes)"
# torch first and by its exact version: a CPU build is then kept where one is offered.
install -c constraints.txt torch==2.13.0
install -c constraints.txt -e ".${extras:+[$extras]}"
if [[ ",$extras," == *,jiant-runtime,* ]]; then
    install --no-deps jiant==2.2.0  # its own pins no longer install; see docs/jiant.md
fi
# pip compiles on one core, the tests of packages too, for as long as all the rest takes it. What is no Python of this
# version stays as it is.
"$venv/bin/python" -W ignore -m compileall -qq -j 0 -x /tests/ "$venv/lib" || true
