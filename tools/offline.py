"""Ends the set-up of an unpacked bundle: the checkout and another Python's packages become importable.

    OTHER -c '... print its folders of packages ...' | .venv/bin/python tools/offline.py

One line and exit status 1 if something is in neither the bundle nor there.
"""

import importlib
import sys
import sysconfig
from pathlib import Path

NEEDED = ("torch", "numpy", "scipy", "pandas", "h5py", "matplotlib", "sacrebleu", "fairseq")

folders = [str(Path(__file__).resolve().parents[1]), *sys.stdin.read().splitlines()]
Path(sysconfig.get_path("purelib"), "bundle.pth").write_text("\n".join(folders))
sys.path += folders
missing = []
for name in NEEDED:
    try:
        importlib.import_module(name)
    except ImportError as error:
        missing.append(f"{name} ({error})")
if missing:
    sys.exit(f"setup: cannot import {', '.join(missing)}; not in the bundle, nor in {' or '.join(folders[1:])}")
