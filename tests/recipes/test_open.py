"""recipes/open_en_de: its data step, its dry run, and (slow) every step on the first real sentences."""

import gzip
import json
import shlex
import subprocess
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "recipes" / "open_en_de"


def packed(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()))


def write_pairs(folder: Path, lines: int) -> None:
    for name in ("train", "val", "test_2016_flickr"):
        for language in ("en", "de"):
            packed(
                folder / f"multi30k/{name}.{language}.gz",
                "".join(f"{name} {n}\u2028{language}\n" for n in range(lines)),
            )


class TestPairs:
    def take(self, run, data: Path, output: Path, *more: str) -> subprocess.CompletedProcess:
        script = RECIPE / "data.py"
        parts = ["train=multi30k/train:5", "valid=multi30k/val:3", "test=multi30k/test_2016_flickr:2"]
        return run("python", script, "pairs", "--data", data, "--output", output, "--pairs", *parts, *more)

    def test_first_lines_of_every_split(self, tmp_path, run):
        write_pairs(tmp_path, 6)
        assert self.take(run, tmp_path, tmp_path / "text").returncode == 0
        for split, name, lines in (("train", "train", 5), ("valid", "val", 3), ("test", "test_2016_flickr", 2)):
            for language in ("en", "de"):
                text = (tmp_path / f"text/{split}.{language}").read_text(encoding="utf-8")
                assert text == "".join(f"{name} {n}\u2028{language}\n" for n in range(lines))

    def test_parts_follow_each_other_and_what_is_no_part_is_refused(self, tmp_path, run):
        write_pairs(tmp_path, 6)
        assert (
            self.take(run, tmp_path, tmp_path / "text", "train=multi30k/val:2", "test1=multi30k/val:1").returncode == 0
        )
        lines = (tmp_path / "text/train.en").read_text(encoding="utf-8").split("\n")[:-1]
        assert lines == [f"{name} {n}\u2028en" for name, count in (("train", 5), ("val", 2)) for n in range(count)]
        assert (tmp_path / "text/test1.de").read_text(encoding="utf-8") == "val 0\u2028de\n"
        for part in ("train=multi30k/val", "dev=multi30k/val:2", "5"):
            done = self.take(run, tmp_path, tmp_path / "other", part)
            assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
            assert f"PAIRS has {part!r}" in done.stderr and not (tmp_path / "other").exists()

    @pytest.mark.parametrize("fault", ["folder", "file", "short", "cut", "foreign", "return"])
    def test_faulty_data(self, tmp_path, run, fault):
        write_pairs(tmp_path / "data", 6)
        german = tmp_path / "data/multi30k/val.de.gz"
        if fault == "file":
            german.unlink()
        elif fault == "short":
            packed(german, "eins\n")
        elif fault == "cut":
            german.write_bytes(german.read_bytes()[:-9])
        elif fault == "return":
            packed(german, "eins\r\n" + "zwei\rdrei\n" * 5)
        elif fault == "foreign":
            packed(tmp_path / "text/thesis.gz", "mine\n")
        done = self.take(run, tmp_path / ("data" if fault != "folder" else "nowhere"), tmp_path / "text")
        words = {
            "folder": "no such folder",
            "file": "val.de.gz: no such file",
            "short": "has 1 lines",
            "cut": "damaged or incomplete gzip file",
            "return": "val.de.gz:2: a carriage return inside of a line",
            "foreign": "text",
        }
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert words[fault] in done.stderr
        assert [path.name for path in tmp_path.glob("text/*")] == ["thesis.gz"] * (fault == "foreign")


def test_subset_keeps_whole_sentences_and_documents(tmp_path, script):
    data = script("open_en_de/data.py")
    blocks = "".join(f"word{n}\tX\nlast{n}\tY\n\n" for n in range(30))
    size = data.Size(sentences=15, documents=2)
    cut = data.cut(blocks, size, Path("ged_dev.tsv.gz"))
    assert cut.count("last") == 15 and blocks.startswith(cut)
    documents = "".join(f"#begin document ({n}); part 000\na\n\nb\n#end document\n" for n in range(5))
    assert data.cut(documents, size, Path("gum_train.gold_conll.gz")) == documents[: len(documents) * 2 // 5]
    objects = json.dumps({str(n): {"sentence": ["x"]} for n in range(30)})
    assert list(json.loads(data.cut(objects, size, Path("it-happened_test.json")))) == [str(n) for n in range(15)]


def test_dry_run_is_the_chain_of_the_paper(tmp_path, run):
    done = run("bash", RECIPE / "run_all.sh", "--dry-run", STATE=tmp_path / "state")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "state").exists()
    commands = [shlex.split(line) for line in done.stdout.splitlines() if line and not line.startswith("#")]
    dense, control, *_ = (words for words in commands if words[0] == "fairseq-train")
    expected = {"--max-epoch": "12", "--imp-rewind-epoch": "11", "--imp-iterations": "8", "--encoder-layers": "6"}
    assert {flag: dense[dense.index(flag) + 1] for flag in expected} == expected
    assert control[control.index("--restore-file") + 1].endswith("magnitude/levels/checkpoint_lth0.pt")
    assert sum(words[:1] == ["fairseq-generate"] for words in commands) == 9 + 3 * 8
    assert sum("--dump-activations" in words for words in commands) == 9 + 3 * 8
    assert sum("fairseq_lth.encode" in words for words in commands) == 9 + 3  # LTH8 of each control
    refused = run("bash", RECIPE / "run_all.sh", "--dry-run", CONTROL_LEVELS="4 9")
    assert refused.returncode == 2 and refused.stderr.splitlines()[-1].endswith("levels are 0 to 8")


@pytest.mark.parametrize("size", ["small", "base"])
def test_general_text_has_two_test_sets_and_controls(tmp_path, run, size):
    done = run("bash", "recipes/general_en_de/run_all.sh", "--dry-run", STATE=tmp_path / "state", SIZE=size)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "state").exists()
    commands = [shlex.split(line) for line in done.stdout.splitlines() if line and not line.startswith("#")]
    trained = [words for words in commands if words[0] == "fairseq-train"]
    assert [Path(words[words.index("--save-dir") + 1]).parent.name for words in trained] == [
        "magnitude", "shuffle", "random", "control"
    ]  # fmt: skip
    epochs, rewind = (int(trained[0][trained[0].index(flag) + 1]) for flag in ("--max-epoch", "--imp-rewind-epoch"))
    assert epochs == 2 * rewind and not any("normalize-before" in word for word in trained[0])
    subsets = [words[words.index("--gen-subset") + 1] for words in commands if words[0] == "fairseq-generate"]
    assert subsets == ["test", "test1"] * (9 + 3 * 8)
    (pairs,) = (words[words.index("--pairs") + 1 :] for words in commands if words[2:3] == ["pairs"])
    train = sum(int(part.rpartition(":")[2]) for part in pairs if part.startswith("train="))
    assert train == {"small": 68_868, "base": 224_909}[size]
    refused = run("bash", "recipes/general_en_de/run_all.sh", "--dry-run", SIZE="huge")
    assert refused.returncode == 2 and refused.stderr.splitlines()[-1].endswith("SIZE=huge: give small or base")


def test_controls_branch_off_the_dense_level_and_have_pages_of_their_own(tmp_path, run):
    names = "magnitude shuffle-3 control reinit random-2 wanda gradient-2"
    done = run(
        "bash",
        RECIPE / "run_all.sh",
        "--dry-run",
        STATE=tmp_path,
        EXPERIMENTS=names,
        ANALYSED="magnitude control",
        CONTROL_LEVELS="",
    )
    assert done.returncode == 0, done.stderr
    commands = [shlex.split(line) for line in done.stdout.splitlines() if line and not line.startswith("#")]
    trained = {}
    for words in commands:
        if words[0] == "fairseq-train":
            folder = Path(words[words.index("--save-dir") + 1]).parent.name
            trained[folder] = {flag: words[place + 1] for place, flag in enumerate(words[:-1]) if flag.startswith("--")}
    assert list(trained) == names.split()
    dense = trained.pop("magnitude")
    assert "--restore-file" not in dense
    assert {flags["--restore-file"] for flags in trained.values()} == {f"{dense['--save-dir']}/checkpoint_lth0.pt"}
    expected = {
        "shuffle-3": {"--imp-score": "shuffle", "--imp-seed": "3", "--imp-rate": "0.2", "--imp-rewind-epoch": "11"},
        "control": {"--imp-rate": "0", "--imp-rewind": "lr", "--imp-rewind-epoch": "11"},
        "reinit": {"--imp-reinit": "--imp-rewind", "--imp-rewind": "lr", "--imp-rewind-epoch": "0"},
        "random-2": {"--imp-score": "random", "--imp-seed": "2", "--imp-rewind-epoch": "11"},
        "wanda": {"--imp-score": "wanda", "--imp-calibration-batches": "32", "--imp-rewind-epoch": "11"},
        "gradient-2": {"--imp-score": "gradient", "--imp-calibration-batches": "32", "--imp-seed": "2"},
    }
    for name, flags in expected.items():
        assert {flag: trained[name].get(flag) for flag in flags} == flags, name
        assert dense.keys() - trained[name].keys() <= {"--imp-score"}
    pages = [words[words.index("--output") + 1] for words in commands if words[3:4] == ["report"]]
    assert pages == [f"{tmp_path}/{name}/report" for name in names.split()]
    assert sum("--dump-activations" in words for words in commands) == 9 + 8


@pytest.mark.parametrize("recipe", ["open_en_de", "wmt16_en_de"])
def test_another_seed_is_another_run_in_its_own_folder(run, recipe):
    config = f"recipes/{recipe}/config.sh"
    done = run("bash", "recipes/wmt16_en_de/10_train.sh", "--dry-run", CONFIG=config, SEED="2", EXPERIMENTS="magnitude")
    words = shlex.split(next(line for line in done.stdout.splitlines() if "fairseq-train " in line))
    settings = [words[words.index(flag) + 1] for flag in ("--seed", "--save-dir")]
    assert settings == ["2", f"recipes/{recipe}/state/seed2/magnitude/levels"]


@pytest.mark.parametrize("recipe", ["open_en_de", "wmt16_en_de"])
def test_several_seeds_are_a_study_with_one_page_over_the_runs(tmp_path, run, recipe):
    done = run(
        "bash", f"recipes/{recipe}/run_all.sh", "--dry-run", SEED="1,3", STATE=tmp_path,
        EXPERIMENTS="magnitude control random", ANALYSED="magnitude control",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    commands = [shlex.split(line) for line in done.stdout.splitlines() if line and not line.startswith("#")]
    trained = [words for words in commands if "fairseq-train" in words]
    assert [words[words.index("--seed") + 1] for words in trained] == ["1"] * 3 + ["3"] * 3
    pages = [words for words in commands if words[3:4] == ["report"]]
    assert len(pages) == 2 * 3 + 1
    tables = {name: [f"{tmp_path}/{name}/tables", f"{tmp_path}/seed3/{name}/tables"] for name in ("control", "random")}
    of_magnitude = [f"{tmp_path}/magnitude/tables", f"{tmp_path}/seed3/magnitude/tables"]
    beside = ["--control", *tables["control"], "--baseline", *tables["random"]]
    assert pages[-1][4:] == ["--results", *of_magnitude, *beside, "--output", f"{tmp_path}/study/report"]


@pytest.mark.parametrize("seeds", ["1,1", "1,", "1,x", "0,2"])
def test_seeds_that_are_none_are_one_line(run, seeds):
    done = run("bash", RECIPE / "run_all.sh", "--dry-run", SEED=seeds)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert f"SEED={seeds}: give different whole numbers" in done.stderr


def test_data_that_is_not_there_is_one_line(tmp_path, run):
    done = run("bash", RECIPE / "run_all.sh", STATE=tmp_path / "state", DATA=tmp_path / "nowhere")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("open_en_de: ") and "no such folder" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("experiments", ["magnitude random", "magnitude shuffle control"])
def test_every_step_on_the_first_sentences(tmp_path, run, shared, experiments):
    state = tmp_path / "state"
    chosen = {"EXPERIMENTS": experiments, "ANALYSED": experiments, "DATA": shared / "data"}
    done = run("bash", RECIPE / "run_all.sh", SMOKE="1", STATE=state, **chosen)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("LTH2") >= 4 and "sem_arc_classification" in done.stdout
    for experiment in experiments.split():
        assert (state / experiment / "report/index.html").stat().st_size > 10_000
        probes = pd.read_csv(state / experiment / "tables/probes.csv")
        assert probes["task"].nunique() == 18 and set(probes["level"].dropna()) == {0, 1, 2}
        similarity = pd.read_csv(state / experiment / "tables/similarity.csv")
        assert set(similarity["level_b"].dropna()) == {0, 1, 2}
    again = run("bash", RECIPE / "run_all.sh", SMOKE="1", STATE=state, **chosen)
    assert again.returncode == 0
    assert "..." not in again.stdout  # no step was done again
