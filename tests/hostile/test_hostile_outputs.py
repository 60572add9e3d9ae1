"""What may already stand where a command writes, or be planted beside it: nothing that is not ours is touched."""

import os
import stat
import subprocess
from pathlib import Path

import pytest
from test_hostile_hdf5 import representations, write_dump

from probing_bridge.formats.files import MARKER, folder_beside, written_beside
from probing_bridge.run import main

CONLLU = "1\tcats\t_\tNOUN\t_\t_\t2\tnsubj\t_\t_\n2\tnap\t_\tVERB\t_\t_\t0\troot\t_\t_\n\n"
PRECIOUS = "precious"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def place(tmp_path):
    """Inputs of the commands, and a folder for outputs that belongs to everybody."""
    (tmp_path / "a.conllu").write_text(CONLLU)
    (tmp_path / "suite.yaml").write_text("tasks:\n  pos: {train: a.conllu, dev: a.conllu, test: a.conllu}\n")
    write_dump(tmp_path / "dump.h5")
    representations(tmp_path / "reps.h5")
    (tmp_path / "victim").write_text(PRECIOUS)
    (tmp_path / "out").mkdir(mode=0o777)
    return tmp_path


# command -> its words, and the file that it writes, in `out`
FILES = {
    "sentences": ("sentences --suite {0}/suite.yaml --output {0}/out", "sentences.txt"),
    "export, npz": ("export --to npz --reps {0}/reps.h5 --output {0}/out/a.npz", "a.npz"),
    "export, liu": ("export --to liu --dump {0}/dump.h5 --output {0}/out/a.h5", "a.h5"),
    "export a dump, npz": ("export --to npz --dump {0}/dump.h5 --output {0}/out/a.npz", "a.npz"),
    "import": ("import {0}/reps.h5 --from liu --experiment e --output {0}/out/a.hdf5", "a.hdf5"),
    "tags": ("tags --dump {0}/dump.h5 --suite {0}/suite.yaml --task pos --output {0}/out/a.txt", "a.txt"),
}


def a_link(path):
    path.symlink_to(path.parents[1] / "victim")


def a_device(path):
    os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))


def a_folder(path):
    path.mkdir()
    (path / "thesis").write_text(PRECIOUS)


def a_link_to_nothing(path):
    path.symlink_to("nowhere")


PLANTED = [a_link, a_link_to_nothing, a_folder, os.mkfifo] + ([a_device] if os.geteuid() == 0 else [])


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
@pytest.mark.parametrize("command", FILES)
def test_an_output_that_is_no_file_of_ours(command, plant, place, capsys, within):
    words, name = FILES[command]
    target = place / "out" / name
    plant(target)
    before = target.lstat()

    def refused():
        assert main(words.format(place).split()) == 2
        return capsys.readouterr().err

    said = within(f"{command}: {plant.__name__.replace('_', ' ')} where it writes", refused, said=str.strip)
    assert said.count("\n") == 1 and str(target) in said and "no regular file" in said
    assert (target.lstat().st_mode, target.lstat().st_ino) == (before.st_mode, before.st_ino)
    assert (place / "victim").read_text() == PRECIOUS and [one.name for one in (place / "out").iterdir()] == [name]


@pytest.mark.parametrize("command", FILES)
def test_names_planted_beside(command, place, capsys):
    """Every name that has been used for a file beside, as links to a victim."""
    words, name = FILES[command]
    for beside in (f".{name}.tmp", f"{name}.tmp", f".{name}.0.tmp", f"{name}~", f".{name}.lock", f".{name}.new"):
        (place / "out" / beside).symlink_to(place / "victim")
    (place / "out" / f".{name}.x.tmp").symlink_to(place)
    planted = {one.name for one in (place / "out").iterdir()}
    assert main(words.format(place).split()) == 0, capsys.readouterr().err
    assert (place / "victim").read_text() == PRECIOUS and (place / "reps.h5").exists()
    assert {one.name for one in (place / "out").iterdir()} - planted == {name}
    assert stat.S_ISREG((place / "out" / name).lstat().st_mode)


@pytest.mark.parametrize("command", FILES)
def test_of_two_writers_one_is_told(command, place, capsys):
    words, name = FILES[command]
    with written_beside(place / "out" / name) as beside:
        beside.write_text("the first one's")
        assert main(words.format(place).split()) == 2
        said = capsys.readouterr().err
    assert said.count("\n") == 1 and "is being written by another process" in said
    assert (place / "out" / name).read_text() == "the first one's"


FOLDER = "export --to jiant --suite {0}/suite.yaml --output {0}/out"


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_an_output_folder_that_is_not_ours(plant, place, capsys, within):
    target = place / "out" / "pos"
    plant(target)
    before = target.lstat()

    def refused():
        assert main(FOLDER.format(place).split()) == 2
        return capsys.readouterr().err

    said = within(f"export, jiant: {plant.__name__.replace('_', ' ')} where it writes", refused, said=str.strip)
    assert said.count("\n") == 1 and str(target) in said
    assert target.lstat().st_ino == before.st_ino and (place / "victim").read_text() == PRECIOUS
    if target.is_dir() and not target.is_symlink():
        assert (target / "thesis").read_text() == PRECIOUS


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
@pytest.mark.parametrize("name", ["data", "data.work"])
def test_binarised_data_replace_nothing_that_is_not_theirs(name, plant, place):
    """`binarise.sh` is no command of the bridge, and removes folders by itself."""
    target = place / "out" / name
    plant(target)
    before = target.lstat()
    words = ["bash", ROOT / "recipes" / "binarise.sh", place, "en", "de", "subword_nmt", "50", place / "out" / "data"]
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith(f"binarise: {target}: is there and was not made by")
    assert done.stderr.count("\n") == 1 and target.lstat().st_ino == before.st_ino
    if target.is_dir():
        assert (target / "thesis").read_text() == PRECIOUS


def test_two_writers_of_a_folder(place, capsys):
    with folder_beside(place / "out" / "pos") as beside:
        (beside / "mine").write_text("the first one's")
        assert main(FOLDER.format(place).split()) == 2
        said = capsys.readouterr().err
    assert said.count("\n") == 1 and "is being written by another process" in said
    assert sorted(one.name for one in (place / "out" / "pos").iterdir()) == [MARKER, "mine"]
