"""Two processes over gloo choose the masks of one process with the same effective batch, and end with its levels."""

import pytest
import torch

from fairseq_lth.levels.checkpoints import imp_state, read_checkpoint

RUNS = [
    ("legacy_ddp", "magnitude"),
    ("pytorch_ddp", "magnitude"),
    ("legacy_ddp", "shuffle"),
    pytest.param("no_c10d", "magnitude", marks=pytest.mark.slow),  # another name of legacy_ddp
]


@pytest.fixture(scope="module")
def one_process(train, flags, tmp_path_factory):
    """Finished runs of one process, by score."""
    finished = {}

    def run(score):
        if score not in finished:
            finished[score] = tmp_path_factory.mktemp("one")
            argv = [*flags, "--imp-score", score, "--dropout", "0", "--update-freq", "2"]
            train([*argv, "--save-dir", finished[score]]).succeed()
        return finished[score]

    return run


@pytest.mark.parametrize(("backend", "score"), RUNS)
def test_two_processes(start, flags, free_port, one_process, tmp_path, backend, score):
    common = [*flags, "--imp-score", score, "--dropout", "0", "--save-dir", tmp_path, "--ddp-backend", backend]
    common += ["--distributed-no-spawn"]
    common += ["--distributed-init-method", f"tcp://127.0.0.1:{free_port()}", "--distributed-world-size", "2"]
    common += ["--distributed-backend", "gloo"]
    ranks = [start([*common, "--distributed-rank", rank], check=True, fake_cuda=True) for rank in (0, 1)]
    for rank in ranks:
        rank.wait().succeed()
    for level in range(3):
        one = read_checkpoint(one_process(score) / f"checkpoint_lth{level}.pt")
        two = read_checkpoint(tmp_path / f"checkpoint_lth{level}.pt")
        for name, weight in one["model"].items():
            assert torch.allclose(weight, two["model"][name], rtol=1e-4, atol=2e-5), (level, name)
        first, second = imp_state(one)["mask"], imp_state(two)["mask"]
        assert level == 0 or torch.equal(first["bits"], second["bits"])
        assert imp_state(one)["experiment"] == imp_state(two)["experiment"]
