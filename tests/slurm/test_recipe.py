"""recipes/wmt16_en_de/run_all.sh slurm on a real Slurm: a tiny model and corpus, every script, chains of three jobs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
LINKS = 3
EPOCHS = 6
CONFIG = f"""source recipes/wmt16_en_de/config.sh
MODEL=(--arch transformer --share-all-embeddings --encoder-layers 2 --decoder-layers 2
    --encoder-embed-dim 32 --decoder-embed-dim 32 --encoder-ffn-embed-dim 64 --decoder-ffn-embed-dim 64
    --encoder-attention-heads 2 --decoder-attention-heads 2 --dropout 0.1)
EPOCHS={EPOCHS} REWIND=(3) ITERATIONS=1 AVERAGE=0 PAIRS=(2000 20 20)
TRAIN_DEVICE=(--cpu --max-tokens 500)
MLP_LEVELS=0 SLURM_TRAIN_JOBS={LINKS}
SLURM_TRAIN=(--ntasks 1 --time 30 --signal TERM@300) SLURM_GPU=(--time 30) SLURM_PROBE=(--time 30) SLURM_CPU=(--time 30)
"""


class Recipe:
    """The tiny recipe and its state."""

    def __init__(self, slurm, folder: Path) -> None:
        (folder / "config.sh").write_text(CONFIG)
        self.slurm, self.state = slurm, folder / "state"
        own = {"CONFIG": str(folder / "config.sh"), "STATE": str(self.state), "SMOKE": "1"}
        self._environment = {**slurm.environment, **own, "OMP_NUM_THREADS": "1"}

    def submit(self) -> subprocess.CompletedProcess:
        command = ["bash", "recipes/wmt16_en_de/run_all.sh", "slurm"]
        return subprocess.run(command, cwd=ROOT, env=self._environment, capture_output=True, text=True, timeout=120)

    def log(self, name: str) -> str:
        path = self.state / "log" / f"{name}.log"
        return path.read_text() if path.exists() else ""


@pytest.fixture
def recipe(slurm, tmp_path) -> Recipe:
    return Recipe(slurm, tmp_path)


def stop_in_the_middle(recipe: Recipe, number: str, experiment: str, epochs: int, when: str) -> None:
    """Lets a job of a chain come to its time limit once its training has done some epochs and some of the next."""
    name = f"train-{experiment}"
    begun = rf"Slurm job {number}\n(?:.*\n)*?(?:.*end of epoch.*\n(?:.*\n)*?){{{epochs}}}.*begin training epoch"
    recipe.slurm.until(lambda: re.search(begun, recipe.log(name)), f"epochs of job {number}")
    for process in recipe.slurm.processes(number, "python"):  # Slurm looks at its clock every half minute
        os.kill(process, signal.SIGSTOP)  # and sends SIGCONT before its signal
    recipe.slurm.move_limit(number, when)
    recipe.slurm.until(lambda: recipe.slurm.states().get(number) != "RUNNING", f"end of job {number}")


def test_the_whole_recipe_by_chains_of_three_jobs(recipe):
    submitted = recipe.submit()
    assert submitted.returncode == 0, submitted.stderr
    numbers = {name: number for number, name in re.findall(r"^(\d+): (.*)$", submitted.stdout, re.M)}
    assert len(numbers) == 1 + 2 * (LINKS + 1) + 3 + 1  # data; chain, translation; dump, probes, similarity; report
    assert submitted.stdout.splitlines()[-1] == f"to cancel them all: scancel {' '.join(numbers.values())}"
    stop_in_the_middle(recipe, numbers["train-magnitude-1"], "magnitude", 1, "now+4minutes")  # TERM@300
    stop_in_the_middle(recipe, numbers["train-magnitude-2"], "magnitude", 1, "now+3")  # the limit itself
    recipe.slurm.until(lambda: not recipe.slurm.states(), "end of all jobs", seconds=900)

    log = recipe.log("train-magnitude")
    jobs = re.findall(r"^# .*: train-magnitude on \S+, Slurm job (\d+)$", log, re.M)
    assert jobs == [numbers[f"train-magnitude-{link}"] for link in range(1, LINKS + 1)]
    ends = Counter(re.findall(r"end of epoch (\d+) ", log))
    assert ends == {str(epoch): 1 for epoch in range(1, EPOCHS + 1 + EPOCHS - 3)}
    accounts = recipe.slurm.command("sacct", "--noheader", "--allocations", "--parsable2", "--format=JobName%40,State")
    states = dict(line.split("|") for line in accounts.splitlines())
    stopped = {"lth-train-magnitude-1", "lth-train-magnitude-2"}
    assert {name for name, state in states.items() if name.startswith("lth-") and state != "COMPLETED"} == stopped
    for experiment in ("magnitude", "random"):
        assert (recipe.state / experiment / "report" / "index.html").stat().st_size > 10_000
        levels = pd.read_csv(recipe.state / experiment / "tables" / "lth.csv")["level"]
        assert list(levels) == [0, 1]
    probes = pd.read_csv(recipe.state / "magnitude" / "tables" / "probes.csv")
    assert probes["task"].nunique() == 18 and set(probes["level"].dropna()) == {0, 1}


def test_a_chain_that_slurm_refuses_half_way_is_cancelled(recipe):
    recipe.slurm.command("sacctmgr", "--immediate", "modify", "user", "root", "set", "MaxSubmitJobs=3")
    try:
        refused = recipe.submit()
    finally:
        recipe.slurm.command("sacctmgr", "--immediate", "modify", "user", "root", "set", "MaxSubmitJobs=-1")
    assert refused.returncode == 1
    numbers = re.findall(r"^(\d+): ", refused.stdout, re.M)
    assert len(numbers) == 3
    line = refused.stderr.splitlines()[-1]
    assert "Slurm refused train-magnitude-3: " in line and "AssocMaxSubmitJobLimit" in line
    assert line.endswith(f"; what was submitted before it is cancelled: {' '.join(numbers)}")
    assert len(refused.stderr.splitlines()) == 1
    recipe.slurm.until(lambda: not recipe.slurm.states(), "empty queue", seconds=30)
