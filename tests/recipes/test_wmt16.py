"""recipes/wmt16_en_de: what it would run, its data and its checker; (slow) every script on made-up corpora."""

import math
import os
import re
import shlex
import shutil
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "recipes" / "wmt16_en_de"
SUITE = RECIPE / "suite.yaml"


@pytest.fixture(scope="module")
def made_up(tmp_path_factory, run):
    """Tiny corpora in the layouts of the real ones."""
    pytest.importorskip("subword_nmt", reason="the recipe's BPE: no subword-nmt here (extra train)")
    folder = tmp_path_factory.mktemp("wmt16") / "made-up"
    done = run("python", RECIPE / "smoke.py", "--output", folder, "--lines", "80", "20", "20")
    assert done.returncode == 0, done.stderr
    return folder


class TestDryRun:
    @pytest.fixture(scope="class")
    def commands(self, run, tmp_path_factory):
        """Every command of the whole recipe as words; nothing may be made by printing them."""
        state = tmp_path_factory.mktemp("dry") / "state"
        done = run("bash", RECIPE / "run_all.sh", "--dry-run", STATE=state, EXPERIMENTS="magnitude random weights")
        assert done.returncode == 0, done.stderr
        assert not state.exists()
        return [shlex.split(line) for line in done.stdout.splitlines() if line and not line.startswith("#")]

    @pytest.fixture(scope="class")
    def trainings(self, commands):
        """The words of fairseq-train of each, after what starts a process for each GPU."""
        started = [words for words in commands if "fairseq-train" in words]
        launcher = ["torchrun", "--standalone", "--nproc_per_node", "8", "--no-python"]
        assert all(words[:5] == launcher and words[5] == "fairseq-train" for words in started)
        return [words[5:] for words in started]

    def test_training_is_the_papers(self, trainings):
        dense = trainings[0]
        settings = {flag: dense[place + 1] for place, flag in enumerate(dense[:-1]) if flag.startswith("--")}
        expected = {
            "--arch": "transformer_vaswani_wmt_en_de_big", "--optimizer": "adam", "--adam-betas": "(0.9, 0.98)",
            "--lr": "7e-4", "--lr-scheduler": "inverse_sqrt", "--warmup-updates": "4000",
            "--warmup-init-lr": "1e-7", "--dropout": "0.3", "--label-smoothing": "0.1", "--max-epoch": "60",
            "--max-tokens": "10000", "--distributed-world-size": "8", "--imp-iterations": "8", "--imp-rate": "0.2",
            "--imp-rewind-epoch": "30", "--imp-rewind": "lr", "--imp-score": "magnitude",
        }  # fmt: skip
        assert {flag: settings[flag] for flag in expected} == expected
        assert {"--share-all-embeddings", "--fp16"} <= set(dense)
        assert "--restore-file" not in dense

    def test_branches_share_the_dense_model(self, trainings):
        dense, random, weights = trainings
        folder = dense[dense.index("--save-dir") + 1]
        for branch, flags in ((random, ("--imp-score", "random")), (weights, ("--imp-rewind", "weights"))):
            assert branch[branch.index("--restore-file") + 1] == f"{folder}/checkpoint_lth0.pt"
            assert branch[branch.index("--save-dir") + 1] != folder
            assert branch[branch.index(flags[0]) + 1] == flags[1]

    def test_every_level_is_translated_dumped_and_probed(self, commands):
        lines = [" ".join(words) for words in commands]
        assert sum("fairseq-generate" in line and "--beam 4 --lenpen 0.6" in line for line in lines) == 9 + 8 + 8
        assert sum("--dump-activations" in line for line in lines) == 9
        probes = [line for line in lines if "probing_bridge.run probe" in line]
        assert len(probes) == 18
        assert sum("--probes mlp --tasks ps_fxn ps_role coref syn_arc" in line for line in probes) == 9

    def test_the_page_has_the_bleu_of_the_other_experiments(self, commands):
        lines = [" ".join(words) for words in commands]
        folder = next(line.split()[5] for line in lines if "run report" in line).removesuffix("magnitude/tables")
        others = " ".join(f"--baseline {folder}{name}/tables" for name in ("random", "weights"))
        beside = f"{others} --compare {folder}magnitude/tables paper"
        assert [beside in line for line in lines if "run report" in line] == [True, False, False]
        copied = [line.split()[-1] for line in lines if line.startswith("cp ") and "/lth.csv " in line]
        assert copied == [f"{folder}{name}/results/" for name in ("magnitude", "random", "weights")]

    def test_representations_of_one_level_at_a_time(self, commands):
        lines = [" ".join(words) for words in commands]
        kept = 0
        for line in lines:
            kept += "fairseq_lth.encode" in line
            kept -= line.startswith("rm ") and ".hdf5" in line
            assert kept <= 1
        assert kept == 0

    @pytest.mark.parametrize(
        ("gpus", "settings"),
        [(1, {}), (2, {}), (4, {}), (8, {}), (16, {"NODES": 2, "RENDEZVOUS": "a:1"}), (8, {"TOKENS": 5000}),
         (5, {"TOKENS": 8000})],
    )  # fmt: skip
    def test_an_update_sees_as_many_tokens_with_any_number_of_gpus(self, run, gpus, settings):
        done = run("bash", RECIPE / "10_train.sh", "--dry-run", GPUS=gpus, EXPERIMENTS="magnitude", **settings)
        words = shlex.split(done.stdout, comments=True)
        given = [
            int(words[words.index(f"--{flag}") + 1]) for flag in ("distributed-world-size", "max-tokens", "update-freq")
        ]
        assert given[0] == gpus and math.prod(given) == 80000
        processes = int(words[words.index("--nproc_per_node") + 1]) if gpus > 1 else 1
        assert processes * settings.get("NODES", 1) == gpus

    @pytest.mark.parametrize(
        ("settings", "reason"),
        [
            ({"GPUS": "3"}, "an update of 80000 tokens is no multiple of 3 x 10000 tokens"),
            ({"GPUS": "8", "TOKENS": "7000"}, "no multiple of 8 x 7000"),
            ({"GPUS": "0"}, "give whole numbers"),
            ({"GPUS": "all"}, "give whole numbers"),
            ({"GPUS": "a[$(touch made)]"}, "give whole numbers"),
            ({"GPUS": "8", "NODES": "3"}, "as many GPUs on every node"),
            ({"GPUS": "16", "NODES": "2"}, "without Slurm, give RENDEZVOUS=HOST:PORT"),
            ({"PRECISION": "bf16"}, "give fp16 or fp32"),
            ({"MODEL": "--arch 'a"}, "MODEL has an unmatched quote"),
            ({"AVERAGE": "10", "EXPERIMENTS": "magnitude weights"}, "take one or the other"),
            ({"AVERAGE": "61"}, "there are 60 dense epochs"),
            ({"AVERAGE": "ten"}, "AVERAGE=ten: give a whole number"),
            ({"HOURS": "0"}, "HOURS=0: give a whole number"),
            ({"REWIND": "30 12"}, "give one epoch, or one for each of the 8 prunings"),
        ],
    )
    def test_settings_that_cannot_be_right_are_refused(self, run, settings, reason):
        done = run("bash", RECIPE / "10_train.sh", "--dry-run", **settings)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("wmt16_en_de: ") and reason in done.stderr and done.stderr.count("\n") == 1

    def test_an_array_of_the_settings_can_be_given(self, run):
        settings = {
            "OPTIMISATION": "--lr 1 --adam-betas '(0.9, 0.98)'",
            "REWIND": "30 " * 6 + "12 12",
            "TRAIN_DEVICE": "",
        }
        done = run("bash", RECIPE / "10_train.sh", "--dry-run", EXPERIMENTS="magnitude reinit", **settings)
        first, second = (shlex.split(line) for line in done.stdout.splitlines() if "fairseq-train" in line)
        assert first[first.index("--lr") : first.index("--lr") + 4] == ["--lr", "1", "--adam-betas", "(0.9, 0.98)"]
        assert "--imp-rewind-epoch 30,30,30,30,30,30,12,12 --imp-score" in " ".join(first)
        assert "--imp-rewind-epoch 0 --imp-reinit" in " ".join(second)
        assert "--fp16" not in first and "--max-tokens" not in first
        done = run("bash", RECIPE / "10_train.sh", "--dry-run", SEED="2", **settings)
        assert " --seed 2 " in done.stdout

    def test_the_made_up_corpora_ask_slurm_for_one_task_without_a_gpu(self, run, tmp_path):
        done = run("bash", RECIPE / "run_all.sh", "slurm", "--dry-run", SMOKE="1", STATE=tmp_path)
        jobs = [line for line in done.stdout.splitlines() if line.startswith("sbatch")]
        assert len(jobs) > 8 and not any("--gres" in job or "--ntasks-per-node" in job for job in jobs)
        assert all("--ntasks 1 " in job for job in jobs if "lth-train" in job)

    @pytest.mark.parametrize(
        ("other", "reason"),
        [
            ({"SEED": "2"}, "SEED=1, not of SEED=2"),
            ({"PAIRS": "10 2 2"}, "PAIRS=4500966 3000 3003, not of PAIRS=10 2 2"),
            ({"CORPUS": "x"}, "CORPUS=, not of CORPUS=x"),
        ],
    )
    def test_a_folder_of_another_run_is_refused(self, run, tmp_path, other, reason):
        assert run("bash", "-c", "source recipes/chain.sh", STATE=tmp_path).returncode == 0
        words = ("bash", RECIPE / "10_train.sh", "--dry-run")
        assert run(*words, STATE=tmp_path, EPOCHS="61", EXPERIMENTS="magnitude").returncode == 0
        done = run(*words, STATE=tmp_path, **other)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert f"STATE={tmp_path} is the folder of {reason}: give another one" in done.stderr

    def test_an_average_is_made_of_the_dense_epochs_before_anything_is_pruned(self, run, tmp_path):
        done = run("bash", RECIPE / "10_train.sh", "--dry-run", AVERAGE="2", STATE=tmp_path)
        lines = [line for line in done.stdout.splitlines() if line and not line.startswith("#")]
        assert "--imp-iterations 0" in lines[0] and "--keep-last-epochs 2" in lines[0]
        folder = f"{tmp_path}/magnitude"
        assert lines[1:4] == [
            f"python -m fairseq_lth.levels {folder}/levels --average 2 --export {folder}/average.pt",
            f"rm -f {folder}/levels/checkpoint59.pt", f"rm -f {folder}/levels/checkpoint60.pt",
        ]  # fmt: skip
        assert "--imp-iterations 8" in lines[4] and "--no-epoch-checkpoints" in lines[4]
        words = [lines[place].split() for place in (0, 4)]
        assert [line[line.index("--save-dir") + 1] for line in words] == [f"{folder}/levels"] * 2
        done = run("bash", RECIPE / "15_average.sh", "--dry-run", AVERAGE="2", STATE=tmp_path)
        assert f"--path {folder}/average.pt" in done.stdout and "score.py" in done.stdout

    def test_peak_disk(self, run):
        def disk(*words, **settings) -> list[float]:
            done = run("bash", RECIPE / "run_all.sh", *words, "--dry-run", **settings)
            line = done.stdout.splitlines()[0]
            assert line.startswith("# disk: ")
            return [float(number) for number in re.findall(r"[\d.]+", line)]

        assert disk(EXPERIMENTS="magnitude") == [246, 8, 12, 25, 9, 68, 1, 145]
        total, corpus, count, levels, *_, at_once, representations = disk("slurm", PRECISION="fp32", AVERAGE="10")
        assert (count, at_once) == (35, 2) and abs(total - (corpus + levels + 68 + representations)) <= 1

    def test_wrong_words_are_refused(self, run):
        assert run("bash", RECIPE / "20_generate.sh", "--dryrun").returncode == 2
        done = run("bash", RECIPE / "20_generate.sh", "--dry-run", EXPERIMENTS="magnitude rand")
        assert done.returncode == 2
        assert "'rand', which is none of magnitude, weights, control, random, shuffle, reinit" in done.stderr
        for word in ("magnitude-2", "random-", "shuffle-0", "reinit-x"):
            assert run("bash", RECIPE / "20_generate.sh", "--dry-run", EXPERIMENTS=word).returncode == 2


class TestRun:
    SCRIPT = """set -euo pipefail
state=$1; mkdir -p "$state/done" "$state/log"
source recipes/steps.sh
work() { run printf '%s|' 'two words' "it's" '' '$HOME'; run false; run touch "$state/never"; }
step work "a step of several commands" work
"""

    def test_a_failing_command_ends_its_step(self, tmp_path, run):
        done = run("bash", "-c", self.SCRIPT, "test", tmp_path)
        assert done.returncode == 1
        header, output = (tmp_path / "log/work.log").read_text().splitlines()
        commit = run("git", "describe", "--always", "--dirty", "--exclude", "*").stdout.strip()
        at = f" at {commit}" if (ROOT / ".git").exists() else ""
        assert re.fullmatch(rf"# [\d-]+ [\d:]+{at}: work on \S+", header) and output == "two words|it's||$HOME|"
        assert not (tmp_path / "never").exists() and not (tmp_path / "done/work").exists()

    def test_the_log_of_a_chain_of_jobs_is_kept(self, tmp_path, run):
        script = self.SCRIPT.replace("it's", "job $SLURM_JOB_ID")
        for job in (7, 8):
            run("bash", "-c", script.replace("$SLURM_JOB_ID", str(job)), "test", tmp_path, SLURM_JOB_ID=job)
        log = (tmp_path / "log/work.log").read_text()
        assert re.findall(r"Slurm job (\d)$|\|job (\d)\|", log, re.M) == [("7", ""), ("", "7"), ("8", ""), ("", "8")]

    def test_a_step_ends_with_its_command_when_all_processes_get_sigterm(self, tmp_path, run):
        script = self.SCRIPT.replace(
            "run printf",
            "bash -c \"trap 'sleep 0.5; echo saved; exit 143' TERM; echo up; while :; do sleep 0.1; done\"; run printf",
        )
        command = 'setsid bash -c "$1" test "$2" & until grep -qs up "$2/log/work.log"; do sleep 0.1; done; '
        command += "kill -TERM -- -$!; wait $!"
        done = run("bash", "-c", command, "test", script, tmp_path)
        assert done.returncode == 1
        assert (tmp_path / "log/work.log").read_text().splitlines()[-1] == "saved"

    def test_a_dry_run_prints_what_a_shell_would_read_back(self, tmp_path, run):
        done = run("bash", "-c", self.SCRIPT, "test", tmp_path, DRY_RUN="1")
        lines = [shlex.split(line) for line in done.stdout.splitlines() if line and not line.startswith("#")]
        assert lines == [
            ["printf", "%s|", "two words", "it's", "", "$HOME"], ["false"], ["touch", f"{tmp_path}/never"]
        ]  # fmt: skip
        assert list((tmp_path / "log").iterdir()) == []


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_has_nothing_to_say(run):
    scripts = sorted((ROOT / "recipes").rglob("*.sh"))
    assert len(scripts) > 12
    done = run("shellcheck", *(path for path in scripts if "state" not in path.parts))
    assert done.returncode == 0, done.stdout


SBATCH = """#!/bin/bash
# Stands in for Slurm: notes the call and answers with a job number.
printf '%s\\n' "${*@Q}" >> "$CALLS"
[ "$DUMP" = "--max-tokens 5" ] || exit 1  # what is given for an array reaches the jobs
echo "$(wc -l < "$CALLS");cluster"
"""


def slurm_jobs(tmp_path, run, **settings):
    """Name of each job -> its number, the words of sbatch, and what it waits for."""
    (tmp_path / "bin").mkdir()
    sbatch = tmp_path / "bin" / "sbatch"
    sbatch.write_text(SBATCH)
    sbatch.chmod(0o755)
    calls = tmp_path / "calls"
    command = f'PATH="{sbatch.parent}:$PATH" bash {RECIPE}/run_all.sh slurm'
    done = run("bash", "-c", command, CALLS=calls, STATE=tmp_path / "state", DUMP="--max-tokens 5", **settings)
    assert done.returncode == 0, done.stderr
    jobs: dict[str, tuple[int, list[str], str]] = {}
    for number, line in enumerate(calls.read_text().splitlines(), 1):
        words = shlex.split(line)
        after = next((word.split("=")[1] for word in words if word.startswith("--dependency")), "")
        jobs[words[words.index("--job-name") + 1]] = (number, words, after)
    return jobs


def test_levels_of_a_branch_wait_for_the_one_it_is_compared_with(tmp_path, run):
    jobs = slurm_jobs(tmp_path, run, EXPERIMENTS="magnitude random", ANALYSED="magnitude random")
    probed, dumped = (f"{jobs[f'lth-{step}-magnitude'][0]}_0" for step in ("probe", "dump"))
    assert jobs["lth-probe-random"][2] == f"afterok:{jobs['lth-train-random-4'][0]}:{probed}"
    assert jobs["lth-similarity-random"][2] == f"afterok:{jobs['lth-dump-random'][0]}:{dumped}"


def test_slurm_jobs_wait_for_one_another(tmp_path, run):
    jobs = slurm_jobs(tmp_path, run, PARTITION="gpu", SLURM_CPU="--partition cpu")
    chains = {"magnitude": 5, "random": 4}  # 300 and 240 epochs of 16 minutes in jobs of 24 hours, and one more
    last = {name: jobs[f"lth-train-{name}-{links}"][0] for name, links in chains.items()}
    assert all(f"lth-train-{name}-{links + 1}" not in jobs for name, links in chains.items())
    assert jobs["lth-train-magnitude-1"][2] == f"afterok:{jobs['lth-data'][0]}"
    assert jobs["lth-train-magnitude-2"][2] == f"afterany:{jobs['lth-train-magnitude-1'][0]}"
    assert jobs["lth-train-random-1"][2] == f"afterok:{last['magnitude']}"
    assert jobs["lth-probe-magnitude"][2] == f"afterok:{last['magnitude']}"
    assert jobs["lth-similarity-magnitude"][2] == f"afterok:{jobs['lth-dump-magnitude'][0]}"
    assert jobs["lth-generate-random"][1][-1] == "EXPERIMENTS='random' exec bash recipes/wmt16_en_de/20_generate.sh"
    assert "0-8%2" in jobs["lth-probe-magnitude"][1]
    for name, partitions in (("train-random-1", ["gpu"]), ("data", ["gpu", "cpu"])):  # the last one counts
        words = jobs[f"lth-{name}"][1]
        assert [words[place + 1] for place, word in enumerate(words) if word == "--partition"] == partitions
    waited = set(jobs["lth-report"][2].removeprefix("afterok:").split(":"))
    ends = ("generate-magnitude", "probe-magnitude", "similarity-magnitude", "generate-random")
    assert waited == {str(jobs[f"lth-{name}"][0]) for name in ends}


def test_a_job_of_slurm_starts_a_process_for_each_gpu(run):
    done = run("bash", RECIPE / "10_train.sh", "--dry-run", SLURM_JOB_ID="123", GPUS="16", NODES="2")
    words = shlex.split(done.stdout, comments=True)
    assert words[:3] == ["srun", "--kill-on-bad-exit=1", "fairseq-train"]
    assert words[words.index("--distributed-port") + 1] == "20123"
    done = run("bash", RECIPE / "run_all.sh", "slurm", "--dry-run", GPUS="16", NODES="2")
    job = next(shlex.split(line) for line in done.stdout.splitlines() if "lth-train-magnitude-1" in line)
    asked = " ".join(job)
    assert "--nodes 2 --ntasks-per-node 8 --gres gpu:8" in asked and "--signal TERM@300" in asked


def test_what_slurm_refuses_half_way_is_cancelled(tmp_path, run):
    (tmp_path / "bin").mkdir()
    refusing = SBATCH + '[ $(wc -l < "$CALLS") -lt 4 ] || { echo "sbatch: error: full" >&2; exit 1; }\n'
    for name, text in (("sbatch", refusing), ("scancel", '#!/bin/bash\necho "scancel $*" >> "$CALLS"\n')):
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    calls = tmp_path / "calls"
    command = f'PATH="{tmp_path}/bin:$PATH" bash {RECIPE}/run_all.sh slurm'
    done = run("bash", "-c", command, CALLS=calls, STATE=tmp_path / "state", DUMP="--max-tokens 5")
    assert done.returncode == 1 and calls.read_text().splitlines()[-1] == "scancel 1 2 3"
    reason = "Slurm refused train-magnitude-3: sbatch: error: full; what was submitted before it is cancelled: 1 2 3"
    assert done.stderr == f"wmt16_en_de: {reason}\n"


def test_an_array_task_does_its_own_level(run):
    done = run("bash", RECIPE / "20_generate.sh", "--dry-run", SLURM_ARRAY_TASK_ID="0")
    assert done.stdout.count("fairseq-generate") == 1
    done = run("bash", RECIPE / "20_generate.sh", "--dry-run", SLURM_ARRAY_TASK_ID="3")
    assert re.findall(r"(\w+)/levels/checkpoint_lth3\.pt", done.stdout) == ["magnitude", "random"]


def test_the_page_is_made_again_when_a_table_is_newer(tmp_path, run):
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    gathered = '[ "$3" != gather ] || touch "$STATE/magnitude/tables/lth.csv"'
    python.write_text(f'#!/bin/bash\necho "$*" >> "$CALLS"\n{gathered}\n')
    python.chmod(0o755)
    state, calls = tmp_path / "state", tmp_path / "calls"
    for folder in ("done", "log", "magnitude/levels", "magnitude/results", "magnitude/tables"):
        (state / folder).mkdir(parents=True)
    for name in ("lth.csv", "lth_modules.csv"):
        (state / "magnitude/levels" / name).write_text("level\n0\n")
        os.utime(state / "magnitude/levels" / name, (1, 1))
    table = state / "magnitude/results/probes.csv"
    table.write_text("score\n")
    os.utime(table, (1, 1))
    for name in ("score", "gather", "report"):
        (state / f"done/{name}-magnitude").touch()
    command = f'PATH="{python.parent}:$PATH" bash {RECIPE}/60_report.sh'

    def called() -> list[str]:
        calls.write_text("")
        done = run("bash", "-c", command, CALLS=calls, STATE=state, EXPERIMENTS="magnitude")
        assert done.returncode == 0, done.stderr
        return [line.split()[2] for line in calls.read_text().splitlines()]

    assert called() == ["summary"]
    os.utime(state / "done/gather-magnitude", (2, 2))
    os.utime(table, (3, 3))
    assert called() == ["gather", "report", "summary"]
    # the folder of the analysis has what training recorded, too: `report` reads it as it stands
    assert (state / "magnitude/results/lth_modules.csv").read_text() == "level\n0\n"


class TestText:
    def take(self, run, output, *source):
        return run("python", RECIPE / "text.py", *source, "--lines", "80", "20", "20", "--output", output)

    def repacked(self, made_up, folder: Path, change) -> Path:
        """The archive again after `change` has worked on its unpacked files."""
        unpacked = folder / "unpacked"
        with tarfile.open(made_up / "wmt16_en_de.tar.gz") as archive:
            archive.extractall(unpacked, filter="data")
        change(unpacked)
        path = folder / "changed.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            archive.add(unpacked, arcname="wmt16")
        return path

    def test_archive_and_folder_give_the_same(self, made_up, tmp_path, run):
        path = self.repacked(made_up, tmp_path, lambda folder: None)
        assert self.take(run, tmp_path / "a", "--archive", path).returncode == 0
        assert self.take(run, tmp_path / "b", "--folder", tmp_path / "unpacked").returncode == 0
        names = sorted(file.name for file in (tmp_path / "a").glob("[!.]*"))
        assert len(names) == 9
        for name in names:
            assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda folder: (folder / "bpe.32000").unlink(), "has no bpe.32000: this is another corpus"),
            (lambda folder: (folder / "newstest2014.de").write_text("eins\n"), "newstest2014.de has 1 lines, not 20"),
            (
                lambda folder: (folder / "newstest2014.de").write_bytes(b"eins\r\n" * 18 + b"zwei\rdrei\n"),
                "newstest2014.de:19: a carriage return inside of a line",
            ),
            (lambda folder: (folder / "bpe.32000").write_text("no\ncodes at all\n"), "no BPE codes"),
        ],
    )
    def test_wrong_archive(self, made_up, tmp_path, run, change, words):
        done = self.take(run, tmp_path / "text", "--archive", self.repacked(made_up, tmp_path, change))
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert words in done.stderr
        assert not (tmp_path / "text").exists() and not (tmp_path / "text.tmp").exists()

    def test_half_an_archive(self, made_up, tmp_path, run):
        content = (made_up / "wmt16_en_de.tar.gz").read_bytes()
        for size in (0, 10, len(content) // 2, len(content) - 5):
            (tmp_path / "half.tar.gz").write_bytes(content[:size])
            done = self.take(run, tmp_path / "text", "--archive", tmp_path / "half.tar.gz")
            assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
            assert not (tmp_path / "text").exists()

    def test_data_folder_that_lacks_files(self, tmp_path, run):
        (tmp_path / "data").mkdir()
        assert "no such folder" in self.take(run, tmp_path / "text", "--folder", tmp_path / "nowhere").stderr
        done = self.take(run, tmp_path / "text", "--folder", tmp_path / "data")
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert "train.tok.clean.bpe.32000.en" in done.stderr


class TestStatmt:
    """The corpus from the published files, against Google's archive of the same text (both made up)."""

    def make(self, run, downloads, output, *lines):
        command = ("python", "-m", "recipes.wmt16_en_de.statmt", "--downloads", downloads, "--output", output)
        return run(*command, "--merges", "80", "--jobs", "2", "--lines", *(lines or ("80", "20", "20")))

    def test_gives_what_the_archive_has(self, made_up, tmp_path, run):
        done = self.make(run, made_up, tmp_path / "made")
        assert done.returncode == 0, done.stderr
        run("python", RECIPE / "text.py", "--archive", made_up / "wmt16_en_de.tar.gz",
            "--lines", "80", "20", "20", "--output", tmp_path / "taken")  # fmt: skip
        names = sorted(path.name for path in (tmp_path / "taken").iterdir())
        assert sorted(path.name for path in (tmp_path / "made").iterdir()) == names and len(names) == 10
        for name in names:
            assert (tmp_path / "made" / name).read_bytes() == (tmp_path / "taken" / name).read_bytes(), name
        assert "well-known" in (tmp_path / "made/newstest2014.en").read_text()
        assert "-@" not in (tmp_path / "made/newstest2014.tok.bpe.32000.en").read_text().replace("@@", "")

    def test_half_a_download_and_other_numbers_are_refused(self, made_up, tmp_path, run):
        folder = tmp_path / "downloads"
        folder.mkdir()
        for name in ("de-en.tgz", "training-parallel-commoncrawl.tgz", "training-parallel-nc-v11.tgz", "dev.tgz"):
            shutil.copy(made_up / name, folder)
        lines = {("100", "20", "20"): "80 training pairs are left after cleaning, not about 100",
                 ("80", "21", "20"): "dev.tgz: newstest2013 has 20 pairs, not 21"}  # fmt: skip
        for numbers, reason in lines.items():
            done = self.make(run, folder, tmp_path / "made", *numbers)
            assert done.returncode == 2 and done.stderr.startswith("statmt: ") and reason in done.stderr
        half = (folder / "dev.tgz").read_bytes()
        (folder / "dev.tgz").write_bytes(half[: len(half) // 2])
        done = self.make(run, folder, tmp_path / "made")
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert "dev.tgz: not a whole .tar.gz archive" in done.stderr
        assert not list(tmp_path.glob("made*")) and not list(tmp_path.glob(".made*"))

    @pytest.mark.parametrize(
        ("english", "german", "kept"),
        [
            ("a", "b", True), ("a", "", False), (" ".join("a" * 80), " ".join("b" * 80), True),
            (" ".join("a" * 81), " ".join("b" * 80), False), (" ".join("a" * 9), "b", True),
            ("b", " ".join("a" * 10), False), ("a" * 1000, "b", True), ("a", "b" * 1001, False),
        ],
    )  # fmt: skip
    def test_cleans_as_moses_does(self, monkeypatch, english, german, kept):
        pytest.importorskip("subword_nmt", reason="the recipe's BPE: no subword-nmt here (extra train)")
        monkeypatch.syspath_prepend(ROOT)
        from recipes.wmt16_en_de.statmt import cleaned

        assert cleaned([(english, german)]) == ([(english, german)] if kept else [])

    def test_the_dry_run_downloads_what_has_a_hash_with_it(self, run, tmp_path):
        done = run("bash", RECIPE / "00_data.sh", "--dry-run", STATE=tmp_path)
        fetched = [shlex.split(line) for line in done.stdout.splitlines() if "fetch.sh" in line]
        assert [(Path(words[3]).name, words[4][:12]) for words in fetched] == [
            ("de-en.tgz", ""), ("training-parallel-commoncrawl.tgz", "sha256:c7a74"),
            ("training-parallel-nc-v11.tgz", "sha256:cfe8a"), ("dev.tgz", ""),
        ]  # fmt: skip
        done = run("bash", RECIPE / "00_data.sh", "--dry-run", STATE=tmp_path, CORPUS_FROM="archive")
        assert done.stdout.count("fetch.sh") == 1 and "drive.google.com" in done.stdout
        assert run("bash", RECIPE / "00_data.sh", "--dry-run", CORPUS_FROM="drive").returncode == 2


@pytest.mark.slow
class TestBinarised:
    @pytest.fixture(scope="class")
    def copy(self, made_up, tmp_path_factory, run):
        """A copy as fairseq-preprocess makes it, with the codes and the reference beside."""
        folder = tmp_path_factory.mktemp("binarised")
        assert run("python", RECIPE / "text.py", "--archive", made_up / "wmt16_en_de.tar.gz",
                   "--lines", "80", "20", "20", "--output", folder / "text").returncode == 0  # fmt: skip
        names = {"train": "train.tok.clean", "valid": "newstest2013.tok", "test": "newstest2014.tok"}
        splits = [f"--{split}pref={folder}/text/{name}.bpe.32000" for split, name in names.items()]
        done = run(
            "fairseq-preprocess", "-s", "en", "-t", "de", "--joined-dictionary", *splits, "--destdir", folder / "data"
        )
        assert done.returncode == 0, done.stderr
        for name in ("bpe.32000", "newstest2014.de"):
            shutil.copy(folder / "text" / name, folder / "data")
        return folder / "data"

    def test_is_taken_as_it_is(self, copy, tmp_path, run, made_up):
        done = run("bash", RECIPE / "00_data.sh", DATA=copy, STATE=tmp_path / "state", PAIRS="80 20 20",
                   CORPORA=made_up / "corpora")  # fmt: skip
        assert done.returncode == 0, done.stderr
        data = tmp_path / "state/data"
        assert (data / "train.en-de.de.bin").resolve() == copy / "train.en-de.de.bin"
        assert (data / "codes").read_bytes() == (copy / "bpe.32000").read_bytes()
        assert (tmp_path / "state/text/newstest2014.de").read_text().count("\n") == 20

    def test_what_is_no_such_copy_is_refused(self, copy, tmp_path, run):
        def refused(folder, *lines) -> str:
            done = run(
                "python", RECIPE / "text.py", "--binarised", folder, "--lines", *lines, "--output", tmp_path / "data"
            )
            assert done.returncode == 2 and not (tmp_path / "data").exists()
            return done.stderr.splitlines()[-1]

        assert "test.en-de.en has 20 sentences, not 21: another corpus" in refused(copy, "80", "20", "21")
        shutil.copytree(copy, tmp_path / "copy")
        with (tmp_path / "copy/dict.de.txt").open("a") as file:
            file.write("more 1\n")
        assert "dict.en.txt and dict.de.txt differ" in refused(tmp_path / "copy", "80", "20", "20")
        (tmp_path / "copy/bpe.32000").unlink()
        assert "has no bpe.32000" in refused(tmp_path / "copy", "80", "20", "20")


class TestChecker:
    def check(self, run, corpora):
        done = run("python", RECIPE / "check_data.py", "--suite", SUITE, "--corpora", corpora)
        lines = [line.split(": ", 1) for line in done.stdout.splitlines()]
        return done.returncode, {line[0].split()[-1]: (line[0].split()[0], line[1]) for line in lines[:-1]}, lines[-1]

    def test_complete(self, made_up, run):
        status, files, summary = self.check(run, made_up / "corpora")
        assert status == 0
        assert len(files) == 39
        assert {state for state, _ in files.values()} == {"ok", "odd"}
        assert files["ptb/wsj.train.trees"][1] == "60 sentences for parent, gparent, ggparent; 39832 are published"
        assert summary[1].startswith("39 files, 0 missing, 0 wrong")

    def test_incomplete_and_wrong(self, made_up, tmp_path, run):
        corpora = tmp_path / "corpora"
        shutil.copytree(made_up / "corpora", corpora)
        (corpora / "ontonotes/dev.english.v4_gold_conll").unlink()
        shutil.rmtree(corpora / "fce")
        shutil.copy(corpora / "conll2000/train.txt", corpora / "conll2003/eng.train")
        shutil.copy(corpora / "ccgbank/train.auto", corpora / "ccgbank/test.auto")
        (corpora / "semtags/semtag_dev.conll").write_text("")
        trees = corpora / "ptb/wsj.dev.trees"
        trees.write_text(trees.read_text().replace("))\n", ")\n", 1))
        sdp = corpora / "sdp/english_dm_augmented_test.sdp"
        sdp.write_bytes(sdp.read_bytes()[:-40] + b"\xff\n")
        status, files, summary = self.check(run, corpora)
        assert status == 1
        missing = {name for name, (state, _) in files.items() if state == "missing"}
        assert missing == {
            "ontonotes/dev.english.v4_gold_conll",
            *(f"fce/fce-public.{s}.tsv" for s in ("train", "dev", "test")),
        }
        wrong = {name: text for name, (state, text) in files.items() if state == "wrong"}
        assert set(wrong) == {
            "conll2003/eng.train", "ccgbank/test.auto", "semtags/semtag_dev.conll", "ptb/wsj.dev.trees",
            "sdp/english_dm_augmented_test.sdp",
        }  # fmt: skip
        assert "same content as ccgbank/train.auto" in wrong["ccgbank/test.auto"]
        assert "wsj.dev.trees:1" in wrong["ptb/wsj.dev.trees"]
        assert "4 missing, 5 wrong" in summary[1]

    def test_no_folder(self, tmp_path, run):
        done = run("python", RECIPE / "check_data.py", "--suite", SUITE, "--corpora", tmp_path / "none")
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)


@pytest.mark.slow
def test_every_script_on_made_up_corpora(tmp_path, run):
    state = tmp_path / "state"
    done = run("bash", RECIPE / "run_all.sh", SMOKE="1", STATE=state)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "compound_split_bleu" in done.stdout and "LTH1" in done.stdout
    assert (state / "magnitude/average/bleu.txt").read_text().startswith("sacrebleu ")
    assert (state / "magnitude/report/index.html").stat().st_size > 10_000
    assert not list(state.glob("*/reps/*.hdf5"))
    again = run("bash", RECIPE / "run_all.sh", SMOKE="1", STATE=state)
    assert again.returncode == 0
    assert "..." not in again.stdout  # no step was done again
