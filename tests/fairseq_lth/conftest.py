"""A tiny corpus and trainings of it, each in a process forked from a server that has fairseq imported already."""

import importlib
import random
import socket
import sys
from pathlib import Path

import pytest

pytest.importorskip("fairseq", reason="tests of the plugin: no fairseq here (extra train)")
import torch

import fairseq_lth

sys.path.insert(0, str(Path(__file__).parent))  # the forked processes import training_child by name
fairseq_lth.register()  # in this process fairseq comes after the plugin
importlib.import_module("quick_compose")


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Path:
    """Binarised sentence pairs: the target is the source in reverse order."""
    from fairseq import options
    from fairseq_cli.preprocess import main

    folder = tmp_path_factory.mktemp("corpus")
    rng = random.Random(3)
    for split, n in (("train", 120), ("valid", 12), ("test", 6)):
        with open(folder / f"{split}.en", "w") as source, open(folder / f"{split}.de", "w") as target:
            for _ in range(n):
                words = [f"w{rng.randrange(40)}" for _ in range(rng.randint(3, 9))]
                print(*words, file=source)
                print(*(word.upper() for word in reversed(words)), file=target)
    arguments = ["-s", "en", "-t", "de", "--destdir", str(folder / "bin"), "--workers", "1"]
    for split in ("train", "valid", "test"):
        arguments += [f"--{split}pref", str(folder / split)]
    main(options.get_preprocessing_parser().parse_args(arguments))
    return folder / "bin"


FLAGS = """
    --arch transformer --encoder-layers 1 --decoder-layers 1 --encoder-embed-dim 8 --decoder-embed-dim 8
    --encoder-ffn-embed-dim 16 --decoder-ffn-embed-dim 16 --encoder-attention-heads 2 --decoder-attention-heads 2
    --dropout 0.2 --task lth_imp --optimizer adam --adam-betas (0.9,0.98) --weight-decay 0.01 --clip-norm 0.5 --lr 0.01
    --lr-scheduler inverse_sqrt --warmup-updates 3 --criterion label_smoothed_cross_entropy --label-smoothing 0.1
    --max-tokens 150 --cpu --no-progress-bar --log-interval 3 --num-workers 0 --seed 5
    --max-epoch 2 --imp-iterations 2 --imp-rewind-epoch 1 --imp-rate 0.3 --keep-last-epochs 9
"""


@pytest.fixture(scope="session")
def flags(corpus):
    """The command line of a small experiment, as a list that tests append to."""
    from paths import PLUGIN

    return [str(corpus), "--user-dir", PLUGIN, *FLAGS.split()]


@pytest.fixture(scope="session")
def configure():
    """fairseq's configuration of a training by its command line, in this process."""
    from fairseq import options
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf

    def make(argv):
        argv = [str(word) for word in argv]
        if "--user-dir" in argv:
            at = argv.index("--user-dir")
            del argv[at : at + 2]
        return convert_namespace_to_omegaconf(options.parse_args_and_arch(options.get_training_parser(), argv))

    return make


@pytest.fixture(scope="session")
def plan(configure):
    """The task of a training that is about to begin, with its engine, and the whole configuration."""
    from fairseq import tasks

    def make(argv):
        root = configure(argv)
        return tasks.setup_task(root.task), root

    return make


@pytest.fixture(scope="session")
def refusal(plan):
    """The one line with which a training is refused before it begins."""
    from fairseq_lth.errors import RunRefused

    def say(argv) -> str:
        with pytest.raises(RunRefused) as refused:
            plan(argv)
        assert "\n" not in str(refused.value)
        return str(refused.value)

    return say


class Training:
    """A training that has ended."""

    def __init__(self, process, log: Path) -> None:
        self._process = process
        self._log = log

    def wait(self) -> "Training":
        self._process.join(240)
        assert self._process.exitcode is not None, f"still running: {self.output[-2000:]}"
        return self

    @property
    def status(self) -> int:
        return self._process.exitcode

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def succeed(self) -> "Training":
        assert self.status == 0, self.output[-4000:]
        return self

    def error(self) -> str:
        """The one line that a refused training ends with."""
        assert self.status == 1, self.output[-4000:]
        assert "Traceback" not in self.output
        return self.output.strip().splitlines()[-1]


@pytest.fixture(scope="session")
def start(tmp_path_factory):
    """Starts a training, or another command of fairseq; the flags are its own."""
    import training_child
    from forking import warm_context

    context = warm_context()
    logs = tmp_path_factory.mktemp("logs")
    count = iter(range(10000))

    def run(
        argv, die=None, signal="SIGKILL", check=False, has_state=True, fake_cuda=False, command="train", rates=None,
        deterministic=False,
    ) -> Training:  # fmt: skip
        log = logs / f"{next(count)}.log"
        request = {
            "argv": list(map(str, argv)), "log": str(log), "die": die, "signal": signal, "check": check,
            "has_state": has_state, "fake_cuda": fake_cuda, "command": command, "rates": str(rates) if rates else None,
            "deterministic": deterministic,
        }  # fmt: skip
        process = context.Process(target=training_child.run, args=(request,))
        process.start()
        return Training(process, log)

    return run


@pytest.fixture(scope="session")
def train(start):
    """Runs a training to its end."""
    return lambda argv, **options: start(argv, **options).wait()


@pytest.fixture(scope="session")
def dense(train, flags, tmp_path_factory):
    """A finished run by magnitude with learning-rate rewinding; read only."""
    folder = tmp_path_factory.mktemp("dense")
    train([*flags, "--save-dir", folder]).succeed()
    return folder


@pytest.fixture(scope="session")
def free_port():
    """Finds a port for a distributed training."""

    def find() -> int:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            return listener.getsockname()[1]

    return find


@pytest.fixture(scope="session")
def same_level():
    """Asserts that two checkpoints have bit-identical weights, optimizer, schedule and mask."""
    from fairseq_lth.levels.checkpoints import imp_state, read_checkpoint

    def equal(a, b) -> bool:
        if torch.is_tensor(a):
            return a.dtype == b.dtype and torch.equal(a, b)
        if isinstance(a, dict):
            return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
        if isinstance(a, list | tuple):
            return len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b, strict=True))
        return a == b

    def compare(first: Path, second: Path) -> None:
        a, b = read_checkpoint(first), read_checkpoint(second)
        assert equal(a["model"], b["model"]), (first, second)
        assert equal(a["last_optimizer_state"], b["last_optimizer_state"]), (first, second)
        assert equal(imp_state(a)["mask"], imp_state(b)["mask"]), (first, second)
        histories = a["optimizer_history"][-1], b["optimizer_history"][-1]
        assert equal(*(history["lr_scheduler_state"] for history in histories))
        assert histories[0]["num_updates"] == histories[1]["num_updates"]

    return compare
