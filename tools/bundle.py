"""A bundle for a machine without network: the checkout at HEAD, the data of recipes/general_en_de, and wheels.

    python tools/bundle.py --data DATA --output build/bundle.tar.gz

The wheels are what the plugin and the bridge need beyond STACK, of the versions and for the Python that run this.
Unpacked, `bash tools/setup.sh python3 .venv` in bundle/checkout needs no network, and the recipes find their data.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import yaml
from packaging.requirements import Requirement

from probing_bridge.errors import BridgeError
from probing_bridge.formats.files import written_beside

# What a machine for such work has by itself, torch above all. Cython and torchaudio are named by fairseq's wheel, but
# nothing of it that we call needs them.
STACK = {"torch", "torchaudio", "cython", "numpy", "scipy", "pandas", "h5py", "matplotlib", "scikit-learn"}
LEFT_OUT = [f":!docs/{folder}" for folder in ("images", "reports", "results")]
RECIPE = "recipes/general_en_de"
ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Writes the bundle and prints its size; one line on an error."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpora")
    parser.add_argument("--output", type=Path, required=True, help="tar file to write")
    arguments = parser.parse_args()
    try:
        if not arguments.data.is_dir():
            raise BridgeError(f"DATA={arguments.data}: no such folder; {RECIPE}/README.md says what belongs there")
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        with written_beside(arguments.output) as beside, tarfile.open(beside, "w:gz", dereference=True) as bundle:
            pack(bundle, arguments.data)
    except (BridgeError, OSError) as error:
        print(f"bundle: {error}", file=sys.stderr)
        return 2
    print(f"{arguments.output}: {arguments.output.stat().st_size / 1e6:.1f} MB")
    return 0


def pack(bundle: tarfile.TarFile, data: Path) -> None:
    """Adds checkout, wheels and data to the bundle.

    Raises:
        BridgeError: A file of the recipe is not in the data, or a command of git, pip or the recipe failed.
    """
    paths = data_files(data)
    for member, content in committed():
        member.name = f"bundle/{member.name}"
        bundle.addfile(member, io.BytesIO(content))
    with tempfile.TemporaryDirectory() as folder:
        wanted = [f"{name}=={importlib.metadata.version(name)}" for name in sorted(carried())]
        output_of(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", folder, *wanted)
        for wheel in sorted(Path(folder).iterdir()):
            bundle.add(wheel, f"bundle/checkout/wheels/{wheel.name}")
    for path in paths:
        bundle.add(data / path, f"bundle/shared/data/{path}")


def committed() -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """The files of HEAD under the name checkout/, without pictures and tables of results."""
    with tarfile.open(
        fileobj=io.BytesIO(output_of("git", "archive", "--prefix=checkout/", "HEAD", ".", *LEFT_OUT))
    ) as archive:
        for member in archive:
            read = archive.extractfile(member)
            yield member, read.read() if read else b""


def carried() -> set[str]:
    """Names of the packages that ours need with the extras `train` and `test`, each with its own, without STACK."""
    found: set[str] = set()
    waiting = ["fairseq-lth[train,test]"]
    while waiting:
        requirement = Requirement(waiting.pop())
        for text in importlib.metadata.requires(requirement.name) or []:
            needed = Requirement(text)
            extras = requirement.extras or {""}
            asked = needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras)
            name = re.sub(r"[-_.]+", "-", needed.name).lower()
            if asked and name not in STACK | found:
                found.add(name)
                waiting.append(text.partition(";")[0])
    return found


def data_files(data: Path) -> list[str]:
    """Paths in the data of what the recipe reads in its larger size: pairs, and the corpora of the suite."""
    dry = output_of("bash", f"{RECIPE}/run_all.sh", "--dry-run", SIZE="base", DATA=str(data))
    prefixes = sorted(set(re.findall(r"\b(?:train|valid|test\d*)=([\w/]+):\d+", dry.decode())))
    suite = yaml.safe_load((ROOT / "recipes/open_en_de/suite.yaml").read_text())
    paths = {f"{prefix}.{language}.gz" for prefix in prefixes for language in ("en", "de")}
    paths |= {str(task[part]) for task in suite["tasks"].values() for part in ("train", "dev", "test")}
    missing = sorted(path for path in paths if not (data / path).is_file())
    if missing:
        raise BridgeError(f"{data}: not there: {', '.join(missing)}")
    return sorted(paths)


def output_of(*command: str, **variables: str) -> bytes:
    """What a command prints.

    Raises:
        BridgeError: It failed; with its last line.
    """
    done = subprocess.run(command, cwd=ROOT, capture_output=True, env={**os.environ, **variables}, check=False)
    if done.returncode:
        raise BridgeError(f"{' '.join(command[:4])}: {done.stderr.decode(errors='replace').strip().splitlines()[-1:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
