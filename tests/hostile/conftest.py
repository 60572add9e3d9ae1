"""Good files that hostile ones are made from, and a runner of commands on them."""

import functools
import json
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

HERE = Path(__file__).parent
for folder in (HERE, HERE.parent / "fairseq_lth"):
    sys.path.insert(0, str(folder))
PLUGIN = str(HERE.parents[1] / "fairseq_lth")


@pytest.fixture(scope="session")
def within():
    """Has a call do its work within the bounds; its line goes to the table, with what it said where that is told."""
    import hostile_attempt

    def within(kind, call, said=lambda result: "read"):
        before, began = hostile_attempt.memory("VmRSS"), time.process_time()
        hostile_attempt.reset_peak()
        result = call()
        seconds, megabytes = time.process_time() - began, (hostile_attempt.memory("VmHWM") - before) / 1000
        hostile_attempt.tell(kind, seconds, megabytes, said(result))
        return result

    return within


@pytest.fixture(scope="session")
def measured(within):
    """Has a call refuse its input in one line, within the bounds; `lines` where it may tell several faults."""

    def measure(kind, call, refusal, lines=False):
        def refused():
            with pytest.raises(refusal) as found:
                call()
                pytest.fail(f"{kind}: was taken")
            return str(found.value)

        message = within(kind, refused, said=str)
        parts = message.split("\n")
        assert all(part and len(part) < 1000 for part in parts) and (lines or len(parts) == 1), (kind, message[:2000])
        return message

    return measure


@pytest.fixture(scope="session")
def attempt(tmp_path_factory):
    """Runs an Attempt in a process forked from a server that has everything imported already."""
    import hostile_attempt
    from forking import warm_context

    context = warm_context()
    logs = tmp_path_factory.mktemp("hostile_logs")
    count = iter(range(100_000))

    def run_once(wanted):
        log = logs / f"{next(count)}.log"
        process = context.Process(target=hostile_attempt.run, args=(asdict(wanted), str(log)))
        process.start()
        process.join(180)
        assert process.exitcode is not None, f"{wanted.kind}: still running"
        output = log.read_text(errors="replace")
        result = Path(f"{log}.json")
        assert result.is_file(), f"{wanted.kind}: died by {process.exitcode}: {output[-2000:]}"
        return hostile_attempt.Outcome(**json.loads(result.read_text()), output=output)

    @functools.cache
    def empty_run(program, words):
        """The same command on a file that is not there: what it takes before it has read anything."""
        outcome = run_once(hostile_attempt.Attempt("no file", program, words))
        assert outcome.status in (1, 2) and "no such file" in outcome.output, outcome.output[-2000:]
        return outcome

    def run(wanted, beyond=None):
        """`beyond`: the command line of the same command on no file; seconds and memory are then beyond those."""
        outcome = run_once(wanted)
        if beyond is None:
            return outcome
        empty = empty_run(wanted.program, beyond)
        seconds, megabytes = outcome.seconds - empty.seconds, outcome.megabytes - empty.megabytes
        return replace(outcome, seconds=max(0.0, seconds), megabytes=max(0.0, megabytes))

    return run


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """Binarised sentence pairs of one word list for both languages."""
    pytest.importorskip("fairseq", reason="the plugin's own commands: no fairseq here (extra train)")
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
