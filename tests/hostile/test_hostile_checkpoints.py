"""Checkpoints from strangers: nothing in them runs, is opened or allocated, and each is refused in one line."""

import os
import re
import shutil
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path

import hostile_checkpoints as make
import pytest
from hostile_attempt import MOST_MEGABYTES, MOST_SECONDS, Attempt

from fairseq_lth.levels import __main__ as levels
from fairseq_lth.levels.checkpoints import CheckpointError, require_loadable

PLUGIN = str(Path(__file__).resolve().parents[2] / "fairseq_lth")


@pytest.fixture
def refuse(measured, marker):
    """Has the gate refuse a checkpoint."""

    def refuse(kind, path):
        assert str(path) in measured(kind, lambda: require_loadable(path), CheckpointError), kind
        assert not marker.exists(), kind

    return refuse


@pytest.fixture(scope="module")
def marker(tmp_path_factory):
    """The place where a payload would leave its mark."""
    return tmp_path_factory.mktemp("marker") / "mark"


def faults_of(outcome, wanted, folder, marker, before):
    """What is wrong with how an attempt ended: it must be refused in one line, in time, with nothing left or run."""
    found = []
    if marker.exists():
        found.append("the payload ran")
    if outcome.status not in (1, 2) or "Traceback" in outcome.output or not re.search(wanted.says, outcome.line):
        found.append(f"status {outcome.status}, {outcome.output[-600:]!r}")
    if outcome.seconds > MOST_SECONDS or outcome.megabytes > MOST_MEGABYTES:
        found.append(f"{outcome.seconds:.1f} s, {outcome.megabytes:.0f} MB")
    if left := {path.name for path in folder.iterdir()} - before:
        found.append(f"left {left}")
    return [f"{wanted.kind}, {wanted.program}: {fault}" for fault in found]


def refuse_all(wanted, attempt, folder, marker):
    """Runs attempts, and tells all that is wrong with how they ended."""
    faults = []
    for one in wanted:
        before = {path.name for path in folder.iterdir()}
        faults += faults_of(attempt(one, beyond=on_no_file(one.words)), one, folder, marker, before)
    assert not faults, "\n".join(faults)


def on_no_file(words):
    """The command line of an attempt with a file that is not there in the place of the hostile one."""
    return tuple("none.pt" if str(word).endswith(".pt") else str(word) for word in words)


def commands(path, corpus, folder):
    """Every command of ours and of fairseq that reads a checkpoint, on this one."""
    data = [str(corpus), "--user-dir", PLUGIN, "--task", "lth_imp", "--path", path, "--cpu", "--num-workers", "0"]
    yield "encode", ("--path", path, "--sentences", folder / "words.txt", "--output", folder / "out.hdf5", "--cpu")
    yield "generate", (*data, "--gen-subset", "test", "--beam", "1", "--max-len-b", "3")
    yield "validate", (*data, "--valid-subset", "valid", "--max-tokens", "200")


def attempts(kinds, level, corpus, folder, marker, programs):
    """One attempt for each kind and program."""
    (folder / "words.txt").write_text("the cat sees\n")
    for kind, change in kinds:
        path = folder / f"level{len([*folder.glob('*.pt')])}.pt"
        path = change if isinstance(change, Path) else make.changed(level, path, change)
        for program, words in commands(path, corpus, folder):
            if program in programs:
                yield Attempt(kind, program, words, says=re.escape(path.name))


@pytest.fixture(
    params=[
        pytest.param((), id="plain", marks=pytest.mark.slow),
        pytest.param((("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1"),), id="forced"),
    ]
)
def environment(request):
    """A usual workaround for torch's refusal of pickles, which must change nothing."""
    return request.param


def test_nothing_that_fairseq_would_run_passes(level, corpus, attempt, tmp_path, marker, environment, refuse):
    kinds = list(make.evaluated(marker))
    nested, built = (
        [one for one in kinds if one[0] == f"code in a {part}"] for part in ("nested decoder", "criterion")
    )
    wanted = [
        *attempts([*kinds[:3], *nested], level, corpus, tmp_path, marker, ("encode",)),
        *attempts([*kinds[:1], *built], level, corpus, tmp_path, marker, ("generate", "validate")),
    ]
    refuse_all([replace(one, environment=environment) for one in wanted], attempt, tmp_path, marker)
    for kind, change in kinds:
        refuse(kind, make.changed(level, tmp_path / "level.pt", change))


def test_a_path_in_a_configuration_is_not_opened(level, corpus, attempt, tmp_path, marker):
    """A FIFO would make whoever opens it wait for ever; the embeddings are in the checkpoint anyway."""
    fifo = tmp_path / "embeddings"
    os.mkfifo(fifo)
    embeddings, dump = make.model_field("encoder_embed_path", str(fifo)), make.task_field(dump_activations=str(marker))
    group = {"layers": 1, "embed_dim": 8, "ffn_embed_dim": 16, "attention_heads": 2, "embed_path": str(fifo)}
    evaluated = make.section_field("common_eval", path=str(fifo))
    kinds = [
        ("paths", lambda checkpoint: evaluated(dump(embeddings(checkpoint)))),
        ("a path in a group", make.model_field("encoder", group)),
    ]
    for wanted in attempts(kinds, level, corpus, tmp_path, marker, ("encode", "generate")):
        assert attempt(wanted).status == 0 and not marker.exists()


@pytest.mark.parametrize("kinds", ["structures", "sections", "states"])
def test_what_fairseq_does_not_write_is_refused(level, tmp_path, marker, kinds, refuse):
    for kind, change in getattr(make, kinds)(marker):
        refuse(kind, make.changed(level, tmp_path / "level.pt", change))


def test_a_criterion_of_a_stranger_is_not_built_to_interpolate(level, corpus, tmp_path, marker, capsys):
    path = make.changed(level, tmp_path / "level.pt", dict(make.evaluated(marker))["code in a criterion"])
    assert levels.main([str(tmp_path), "--interpolate", str(path), str(level), "--data", str(corpus)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"{path}: cfg.criterion.wer_args is" in said and not marker.exists()


def test_what_lies_is_not_exported(level, tmp_path, marker, capsys):
    """Neither as a checkpoint nor in the compact form, of which a failed one must not leave the other."""
    run = tmp_path / "run"
    shutil.copytree(level.parent, run)
    kinds = [*make.evaluated(marker), *make.states(marker)]
    for kind, change in kinds:
        make.changed(level, run / level.name, change)
        outputs = ("--export", str(tmp_path / "out.pt"), "--compact", str(tmp_path / "out.safetensors"))
        assert levels.main([str(run), "--level", "1", *outputs]) == 2, kind
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and str(run / level.name) in said, (kind, said)
        assert [one.name for one in tmp_path.iterdir()] == ["run"] and not marker.exists(), kind


def test_files_that_torch_does_not_write_are_refused(level, tmp_path, marker, refuse):
    for kind, path in make.archives(level, tmp_path, marker):
        refuse(kind, path)


def test_a_pickle_that_runs_is_not_loaded_by_any_program(level, corpus, attempt, tmp_path, marker, environment):
    archives = [one for one in make.archives(level, tmp_path, marker) if "runs" in one[0]]
    wanted = [
        *attempts(archives, level, corpus, tmp_path, marker, ("encode",)),
        *attempts(archives[:1], level, corpus, tmp_path, marker, ("generate", "validate")),
    ]
    refuse_all([replace(one, environment=environment) for one in wanted], attempt, tmp_path, marker)


def test_a_bytearray_that_says_it_is_large_takes_no_memory(tmp_path):
    """Found by fuzzing: 43 bytes took 18 GB and half a minute."""
    path = tmp_path / "level.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("level/data.pkl", b"\x80\x02\x96" + (1 << 34).to_bytes(8, "little"))
    tracemalloc.start()
    with pytest.raises(CheckpointError, match="damaged"):
        require_loadable(path)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 1 << 24
