"""Two processes over gloo end with the levels of one process with the same effective batch, bit for bit."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

SLOW = pytest.mark.slow
SHUFFLE = ("--imp-score", "shuffle")
WANDA = ("--imp-score", "wanda", "--imp-calibration-batches", "3")
GRADIENT = ("--imp-score", "gradient", "--imp-calibration-batches", "3")
RUNS = [
    ("legacy_ddp", ()),
    ("pytorch_ddp", ()),
    pytest.param("legacy_ddp", SHUFFLE, marks=SLOW),
    pytest.param("legacy_ddp", WANDA, marks=SLOW),
    pytest.param("pytorch_ddp", GRADIENT, marks=SLOW),
    pytest.param("no_c10d", (), marks=SLOW),  # another name of legacy_ddp
]
LEVELS = 4


@pytest.fixture(scope="module")
def experiment(flags):
    """Three prunings; dropout would draw other numbers in another process."""
    return [*flags, "--dropout", "0", "--imp-iterations", str(LEVELS - 1)]


@pytest.fixture(scope="module")
def one_process(train, experiment, tmp_path_factory):
    """Finished runs of one process, by further flags."""
    finished = {}

    def run(*extra):
        if extra not in finished:
            finished[extra] = tmp_path_factory.mktemp("one")
            train([*experiment, *extra, "--update-freq", "2", "--save-dir", finished[extra]]).succeed()
        return finished[extra]

    return run


@pytest.fixture
def both(start, experiment, free_port):
    """Runs a training in two processes, of which one may be made to die."""

    def run(*extra, rank=None, die=None, signal="SIGKILL"):
        argv = [*experiment, *extra, "--distributed-no-spawn", "--distributed-world-size", "2"]
        argv += ["--distributed-init-method", f"tcp://127.0.0.1:{free_port()}", "--distributed-backend", "gloo"]
        ranks = [
            start(
                [*argv, "--distributed-rank", n], check=True, fake_cuda=True,
                die=die if n == rank else None, signal=signal,
            )
            for n in (0, 1)
        ]  # fmt: skip
        return [training.wait() for training in ranks]

    return run


@pytest.fixture
def check(one_process, same_level, tmp_path):
    """Compares the levels of the run in tmp_path with those of one process."""

    def compare(*extra, levels=range(LEVELS)):
        for level in levels:
            same_level(one_process(*extra) / f"checkpoint_lth{level}.pt", tmp_path / f"checkpoint_lth{level}.pt")

    return compare


@pytest.mark.parametrize(("backend", "score"), RUNS)
def test_two_processes(both, check, tmp_path, backend, score):
    for rank in both(*score, "--save-dir", tmp_path, "--ddp-backend", backend):
        rank.succeed()
    check(*score)


@SLOW
@pytest.mark.parametrize(
    ("rank", "die", "mode"),
    [
        (0, ("copy", 6), "lr"),
        (1, ("update", 8), "weights"),
        (0, ("update", 11), "weights"),
        (0, ("save", 3), "none"),
        (1, ("valid", 3), "lr"),
        (1, ("epoch", 4), "weights"),
    ],
)
def test_either_process_is_killed(both, check, tmp_path, rank, die, mode):
    extra = ("--imp-rewind", mode)
    ended = both(*extra, "--save-dir", tmp_path, rank=rank, die=die)
    assert ended[rank].status < 0, "the event never came"
    assert ended[1 - rank].status != 0, "the other one went on alone"
    for training in both(*extra, "--save-dir", tmp_path):
        training.succeed()
    check(*extra)


@SLOW
def test_a_branch(both, check, one_process, tmp_path):
    dense = one_process() / "checkpoint_lth0.pt"
    extra = ("--imp-score", "random", "--imp-rewind", "weights", "--restore-file", dense)
    for rank in both(*extra, "--save-dir", tmp_path):
        rank.succeed()
    check(*extra, levels=range(1, LEVELS))


@SLOW
@pytest.mark.parametrize(
    "control",
    [
        ("--imp-reinit", "--imp-rewind-epoch", "0", "--restore-file", "LTH0"),
        ("--imp-masks-from", "RUN", "--seed", "8"),
        (*WANDA, "--restore-file", "LTH0"),
    ],
)
def test_a_control(both, check, one_process, tmp_path, control):
    """Also where the first process dies at the pruning and all of them make it again."""
    names = {"RUN": one_process(), "LTH0": one_process() / "checkpoint_lth0.pt"}
    extra = tuple(names.get(word, word) for word in control)
    assert both(*extra, "--save-dir", tmp_path, rank=0, die=("update", 2))[0].status < 0
    for rank in both(*extra, "--save-dir", tmp_path):
        rank.succeed()
    check(*extra, levels=range(1, LEVELS))


def test_all_are_refused_where_one_is(both, one_process, tmp_path):
    """None waits for the others, and one of them says why."""
    ended = both("--save-dir", one_process(), "--lr", "0.5")
    assert [rank.status for rank in ended] == [1, 1]
    assert "is of another experiment" in ended[0].error()
    assert "is of another experiment" not in ended[1].output


@SLOW
@pytest.mark.parametrize(("rank", "die"), [(1, ("update", 10)), (0, ("update", 10)), (1, ("valid", 2))])
def test_sigterm_to_either_process(both, check, tmp_path, rank, die):
    ended = both("--save-dir", tmp_path, rank=rank, die=die, signal="SIGTERM")
    assert [training.status for training in ended] == [143, 143]
    assert "stopped by SIGTERM, saved in epoch " in ended[0].output
    for training in both("--save-dir", tmp_path):
        training.succeed()
    check()


SPLIT, WHOLE = "--distributed-world-size 2 --update-freq 1", "--distributed-world-size 1 --update-freq 2"
WITHIN = "checkpoint_last.pt: stands in the middle of epoch {} of a training with {}, and {} would miss or repeat"


@pytest.fixture
def stopped(train, experiment, tmp_path):
    """The command line of one process that SIGTERM has ended within epoch 1, in tmp_path."""
    argv = [*experiment, "--update-freq", "2", "--save-dir", tmp_path]
    assert train(argv, die=("update", 2), signal="SIGTERM").status == 143
    return argv


def test_another_number_of_processes_is_refused_within_an_epoch(stopped, refusal, experiment, tmp_path):
    """fairseq counts batches by process: with another number of them it would miss half an epoch, or repeat it."""
    two = ["--distributed-no-spawn", "--distributed-world-size", "2", "--distributed-init-method", "tcp://x:1"]
    elsewhere = ["--save-dir", tmp_path / "other", "--restore-file", tmp_path / "checkpoint_last.pt"]
    for where in (["--save-dir", tmp_path], elsewhere):
        error = refusal([*experiment, *two, *where])
        assert error.startswith(f"fairseq_lth: error: {tmp_path}/{WITHIN.format(1, WHOLE, SPLIT)}"), error


@SLOW
def test_the_number_of_processes_may_change_at_the_end_of_an_epoch(train, both, stopped, check, tmp_path):
    run = ("--save-dir", tmp_path)
    ended = both(*run)
    assert [rank.status for rank in ended] == [1, 1]
    assert WITHIN.format(1, WHOLE, SPLIT) in ended[0].error()
    assert train(stopped, die=("epoch", 2)).status == -9  # the end of epoch 1 is saved
    assert [rank.status for rank in both(*run, rank=1, die=("update", 3), signal="SIGTERM")] == [143, 143]
    assert WITHIN.format(2, SPLIT, WHOLE) in train(stopped).error()
    for rank in both(*run):
        rank.succeed()
    check()


@SLOW
def test_torchrun_by_the_line_of_the_documentation(experiment, check, tmp_path):
    """docs/cluster.md's line for a machine without GPUs, with the experiment in place of its dots."""
    root = Path(__file__).resolve().parents[2]
    page = (root / "docs" / "cluster.md").read_text().replace("\\\n", " ")
    line = next(line for line in page.splitlines() if line.startswith("torchrun ") and "--cpu" in line)
    words = [word for word in shlex.split(line.replace("$(python -m fairseq_lth)", str(root / "fairseq_lth")))]
    words[words.index("...") : words.index("...") + 1] = [*experiment[1:], "--save-dir", str(tmp_path)]
    words[words.index("DATA")] = experiment[0]
    words[0] = str(Path(sys.executable).parent / "torchrun")
    words[words.index("fairseq-train")] = str(Path(sys.executable).parent / "fairseq-train")
    done = subprocess.run(words, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "training on 2 devices" in done.stderr + done.stdout
    check("--imp-rewind", "lr")
