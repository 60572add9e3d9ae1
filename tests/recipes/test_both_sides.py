"""recipes/both_sides: sources of a parallel treebank, its table, and (slow) every step on made-up treebanks."""

import gzip
import random

import pandas as pd
import pytest

from probing_bridge.errors import InputError
from probing_bridge.formats.tables import write_table

# English word -> German word, tag, feature
WORDS = {
    "red": ("rot", "ADJ", "Degree=Pos"),
    "old": ("alt", "ADJ", "Degree=Pos"),
    "dog": ("Hund", "NOUN", "Number=Sing"),
    "dogs": ("Hunde", "NOUN", "Number=Plur"),
    "trees": ("Bäume", "NOUN", "Number=Plur"),
    "runs": ("läuft", "VERB", "Number=Sing"),
    "see": ("sehen", "VERB", "Number=Plur"),
    "and": ("und", "CCONJ", "_"),
}
FILES = {
    "english": ("ud_ewt/en_ewt-ud-dev", "ud_ewt/en_ewt-ud-test", "ud_pud/en_pud-ud-test"),
    "german": ("ud_gsd/de_gsd-ud-dev", "ud_gsd/de_gsd-ud-test", "ud_pud/de_pud-ud-test"),
}


def write_treebank(path, sentences, german=False):
    """Sentences of English words, or of their German ones, in which each word hangs on the one before it."""
    trees = []
    for words in sentences:
        rows = []
        for i, word in enumerate(words, 1):
            translation, tag, feature = WORDS[word]
            form, relation = translation if german else word, "root" if i == 1 else tag.lower()
            rows.append("\t".join([str(i), form, "_", tag, "_", feature, str(i - 1), relation, "_", "_"]))
        trees.append("\n".join(rows) + "\n\n")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress("".join(trees).encode()))


def draw(count, seed):
    """Sentences without repetition."""
    random_words = random.Random(seed)
    return sorted({tuple(random_words.choices(sorted(WORDS), k=random_words.randint(3, 8))) for _ in range(count)})


def in_german(words):
    return [WORDS[word][0] for word in words]


@pytest.fixture
def treebanks(tmp_path):
    """The treebanks that the recipe reads; the last one's sentences are the same in both languages."""
    for language, names in FILES.items():
        for number, (name, count) in enumerate(zip(names, (120, 40, 40), strict=True)):
            seed = 2 if number == 2 else f"{language}{number}"
            write_treebank(tmp_path / f"data/{name}.conllu.gz", draw(count, seed), language == "german")
    return tmp_path / "data"


def test_sources_are_those_of_the_parallel_sentences(treebanks, tmp_path, script):
    parallel = draw(40, 2)
    lines = [["kein", "Hund"], *reversed([in_german(words) for words in parallel])]
    (tmp_path / "sentences.txt").write_text("".join(" ".join(line) + "\n" for line in lines))
    found = script("both_sides/sides.py").sources(treebanks, tmp_path / "sentences.txt")
    assert found.split("\n") == ["", *(" ".join(words) for words in reversed(parallel)), ""]


def test_parallel_treebanks_of_different_lengths_are_refused(treebanks, tmp_path, script):
    write_treebank(treebanks / f"{FILES['english'][2]}.conllu.gz", draw(40, 2)[1:])
    (tmp_path / "sentences.txt").write_text("rot\n")
    with pytest.raises(InputError, match=r"de_pud-ud-test\.conllu\.gz: \d+ sentences, and \d+ in English"):
        script("both_sides/sides.py").sources(treebanks, tmp_path / "sentences.txt")


def test_the_table_has_each_sides_tasks(tmp_path, script):
    """Layer 1 is the best on the development split; the encoder has no case."""
    sides = script("both_sides/sides.py")
    columns = ["task", "layer", "probe", "metric", "score", "low", "high"]
    for name, tasks in zip(sides.SERIES, (["pos"], ["pos", "feat_case"], ["pos", "feat_case"]), strict=True):
        rows = []
        for task in tasks:
            for layer, score, gain in (("0", 0.5, 0.0), ("1", 0.75, 0.25)):
                rows.append((task, layer, "linear", "accuracy", score, score - 0.1, score + 0.1))
                rows.append((task, layer, "linear", "gain", gain, gain - 0.05, gain + 0.05))
            rows.append((task, "-", "word_majority", "accuracy", 0.625, None, None))
        frame = pd.DataFrame(rows, columns=columns).assign(experiment="e", model="lth0", level=0, sparsity=0.0, n=9)
        frame = frame.assign(dev_score=frame["score"], seed=133, package_version="1")
        write_table(frame, "probes", tmp_path / name / "probes.csv")
    lines = sides.sides(tmp_path).splitlines()
    cells = "1 | 0.750 | 0.250 [0.200, 0.300] | 0.625"
    assert lines[2:] == [f"| POS | {cells} | {cells} | {cells} |", f"| Case | – | – | – | – | {cells} | {cells} |"]


MODEL = """--arch transformer --share-all-embeddings --encoder-layers 1 --decoder-layers 1 --encoder-embed-dim 16
    --decoder-embed-dim 16 --encoder-ffn-embed-dim 32 --decoder-ffn-embed-dim 32 --encoder-attention-heads 2
    --decoder-attention-heads 2 --optimizer adam --lr 5e-3 --max-tokens 1000 --max-epoch 2 --seed 1 --cpu
    --task lth_imp --imp-iterations 0 --imp-rewind-epoch 1 --user-dir fairseq_lth -s en -t de"""


@pytest.mark.slow
def test_the_whole_way(treebanks, tmp_path, run):
    pytest.importorskip("fairseq", reason="the recipe encodes a model of fairseq (extra train)")
    model, state = tmp_path / "model", tmp_path / "state"
    (model / "text").mkdir(parents=True)
    for split, count in (("train", 300), ("valid", 20), ("test", 20)):
        pairs = draw(count, split)
        (model / f"text/{split}.en").write_text("".join(" ".join(words) + "\n" for words in pairs))
        (model / f"text/{split}.de").write_text("".join(" ".join(in_german(words)) + "\n" for words in pairs))
    binarise = ["recipes/binarise.sh", model / "text", "en", "de", "subword_nmt", "40", model / "data", "moses"]
    for command in (
        ["bash", *binarise],
        ["fairseq-train", model / "data", *MODEL.split(), "--save-dir", model / "levels"],
    ):
        done = run(*command)
        assert done.returncode == 0, done.stdout + done.stderr
    done = run("bash", "recipes/both_sides/run.sh", MODEL=model, DATA=treebanks, STATE=state)
    assert done.returncode == 0, done.stdout + done.stderr
    tasks = [line.split(" | ")[0] for line in (state / "sides.md").read_text().splitlines()[2:]]
    assert tasks == ["| POS", "| SynArcPred", "| SynArcClass", "| Number"]
    probes = {
        name: pd.read_csv(state / f"results/{name}/probes.csv") for name in ("encoder", "decoder", "decoder-alone")
    }
    for table in probes.values():
        own = table[(table["task"] == "pos") & (table["probe"] == "linear") & (table["metric"] == "accuracy")]
        assert own["n"].unique().tolist() == [sum(map(len, draw(40, 2)))]  # every word of the parallel sentences
    scores = [table.loc[table["layer"] == "1", "score"].tolist() for table in probes.values()]
    assert scores[1] != scores[2]  # what the decoder has of the source
    again = run("bash", "recipes/both_sides/run.sh", MODEL=model, DATA=treebanks, STATE=state)
    assert again.returncode == 0 and "..." not in again.stdout
