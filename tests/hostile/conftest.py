"""Good files that hostile ones are made from, and a runner of commands on them."""

import json
import multiprocessing
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest

HERE = Path(__file__).parent
for folder in (HERE, HERE.parent / "fairseq_lth"):
    sys.path.insert(0, str(folder))
PLUGIN = str(HERE.parents[1] / "fairseq_lth")


@pytest.fixture(scope="session")
def measured():
    """Has a call refuse its input: in one line, within a second and a gigabyte of a quiet machine.

    The line goes, with kind, seconds and megabytes, to the table that `python tests/hostile/table.py` prints.
    """
    import hostile_attempt

    def measure(kind, call, refusal):
        before, began = hostile_attempt.memory("VmRSS"), time.process_time()
        hostile_attempt.reset_peak()
        with pytest.raises(refusal) as refused:
            call()
            pytest.fail(f"{kind}: was taken")
        seconds, megabytes = time.process_time() - began, (hostile_attempt.memory("VmHWM") - before) / 1000
        message = str(refused.value)
        assert message and "\n" not in message and len(message) < 1000, (kind, message)
        assert seconds < hostile_attempt.MOST_SECONDS and megabytes < hostile_attempt.MOST_MEGABYTES, (
            kind,
            seconds,
            megabytes,
        )
        print(f"hostile\t{kind}\t{seconds:.2f}\t{max(0, megabytes):.0f}\t{message}")
        return message

    return measure


@pytest.fixture(scope="session")
def attempt(tmp_path_factory):
    """Runs an Attempt in a process forked from a server that has everything imported already."""
    import hostile_attempt

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["hostile_attempt", "fairseq_cli.generate", "fairseq_cli.validate", "fairseq_cli.train", "probing_bridge.run",
         "probing_bridge.probes.run", "probing_bridge.similarity", "fairseq_lth.capture.encoder"]
    )  # fmt: skip
    logs = tmp_path_factory.mktemp("hostile_logs")
    count = iter(range(100_000))

    def run(wanted):
        log = logs / f"{next(count)}.log"
        process = context.Process(target=hostile_attempt.run, args=(asdict(wanted), str(log)))
        process.start()
        process.join(180)
        assert process.exitcode is not None, f"{wanted.kind}: still running"
        output = log.read_text(errors="replace")
        result = Path(f"{log}.json")
        assert result.is_file(), f"{wanted.kind}: died by {process.exitcode}: {output[-2000:]}"
        return hostile_attempt.Outcome(**json.loads(result.read_text()), output=output)

    return run


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """Binarised sentence pairs of one word list for both languages."""
    from fairseq import options
    from fairseq_cli.preprocess import main

    folder = tmp_path_factory.mktemp("hostile_corpus")
    for split, n in (("train", 24), ("valid", 8), ("test", 8)):
        for language in ("en", "de"):
            (folder / f"{split}.{language}").write_text("the cat sees a dog now\n" * n)
    arguments = ["-s", "en", "-t", "de", "--destdir", str(folder / "bin"), "--workers", "1", "--joined-dictionary"]
    for split in ("train", "valid", "test"):
        arguments += [f"--{split}pref", str(folder / split)]
    main(options.get_preprocessing_parser().parse_args(arguments))
    return folder / "bin"


@pytest.fixture(scope="session")
def level(corpus, attempt, tmp_path_factory):
    """LTH1 of a very small training."""
    from hostile_attempt import Attempt

    folder = tmp_path_factory.mktemp("hostile_level")
    words = f"""{corpus} --user-dir {PLUGIN} --task lth_imp --arch transformer --encoder-layers 1 --decoder-layers 1
        --encoder-embed-dim 8 --decoder-embed-dim 8 --encoder-ffn-embed-dim 16 --decoder-ffn-embed-dim 16
        --encoder-attention-heads 2 --decoder-attention-heads 2 --optimizer adam --lr 0.01 --max-tokens 200 --cpu
        --lr-scheduler fixed --criterion cross_entropy --no-progress-bar --num-workers 0 --max-epoch 1
        --imp-iterations 1 --imp-rewind-epoch 0 --imp-rate 0.3 --save-dir {folder}""".split()
    outcome = attempt(Attempt("training", "train", tuple(words)))
    assert outcome.status == 0, outcome.output[-3000:]
    return folder / "checkpoint_lth1.pt"
