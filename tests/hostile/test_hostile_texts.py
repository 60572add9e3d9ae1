"""Corpora, suites, tables, vectors, tags and translations from strangers: refused in one line, early."""

import gzip
import importlib.util
import os
import re
import sys
from pathlib import Path

import pytest

from probing_bridge.corpora.readers.formats import BIOUL
from probing_bridge.corpora.suite import load_suite
from probing_bridge.corpora.tasks import PAPER_TASKS, read_instances
from probing_bridge.errors import BridgeError
from probing_bridge.exchange.vectors import TextVectors
from probing_bridge.formats.columns import TABLES
from probing_bridge.formats.sentences import read_sentences
from probing_bridge.formats.tables import read_table
from probing_bridge.formats.tags import read_tags
from probing_bridge.formats.text import numbered_lines, plain_lines
from probing_bridge.results.paper import read_reference
from probing_bridge.translation.generated import read_generated

spec = importlib.util.spec_from_file_location(
    "small_corpora", Path(__file__).parents[1] / "probing_bridge" / "corpora" / "readers" / "corpora.py"
)
corpora = importlib.util.module_from_spec(spec)
sys.modules["small_corpora"] = corpora
spec.loader.exec_module(corpora)

FORMATS = {format: task.name for task in PAPER_TASKS.values() for format in task.formats}


def read_vectors(path):
    words = path.with_name("words.txt")
    words.write_text("nap x\n")
    return TextVectors(path, words)


READERS = {
    "sentences": lambda path: list(read_sentences(path)),
    "vectors": read_vectors,
    "tags": lambda path: read_tags(path, [1]),
    "references": plain_lines,
    "translations": read_generated,
    "numbers of a paper": read_reference,
    "a table": lambda path: read_table(path, "bleu"),
    "a suite": load_suite,
    **{
        f"a corpus, {format}": lambda path, task=task, format=format: read_instances(task, path, format=format)
        for format, task in FORMATS.items()
    },
    "a corpus, conllu as the original": lambda path: read_instances("pos", path, format="conllu", compat=True),
}
LINE_BY_LINE = ("sentences", "vectors")  # never compressed: they may be larger than memory


@pytest.fixture(scope="module")
def endless(tmp_path_factory):
    """A file of a gigabyte without a line end, which takes no place on the disk, and one that unpacks to 64 MB."""
    folder = tmp_path_factory.mktemp("endless")
    with (folder / "plain").open("wb") as file:
        file.truncate(1 << 30)
    (folder / "packed").write_bytes(gzip.compress(b"a" * (64 << 20), 1))
    return folder


@pytest.mark.parametrize("reader", READERS)
def test_an_endless_line(reader, endless, measured):
    for name in ("plain", "packed"):
        message = measured(
            f"{reader}: an endless line, {name}", lambda n=name: READERS[reader](endless / n), BridgeError
        )
        assert str(endless / name) in message
        if name == "plain" or reader not in LINE_BY_LINE:
            assert "more than" in message


@pytest.mark.parametrize("reader", sorted(READERS.keys() - {"sentences", "references", "tags", "translations"}))
@pytest.mark.parametrize("sign", ["[", "(", "{", '{"a":'])
def test_brackets_in_brackets(reader, sign, tmp_path, measured):
    path = tmp_path / "a"
    path.write_text(sign * 200_000 + "\n")
    measured(f"{reader}: {sign} 200,000 times", lambda: READERS[reader](path), BridgeError)


BIG, DIGITS = str(2**64), "9" * 5000
ITEM = '{"a": {"sentence": ["a"], "predicate_indices": [%s], "labels": [%s]}}'
SWES = '[{"toks": [{"word": "a"}], "swes": {"%s": {"ss": "p.X", "ss2": "p.X"}}}]'
NUMBERS = {
    **{f"conllu, {name}": ("conllu", corpora.CONLLU.replace(old, new)) for name, old, new in (
        ("the number of a word beyond 64 bits", "\n2\t", f"\n{BIG}\t"), ("of 5,000 digits", "\n2\t", f"\n{DIGITS}\t"),
        ("a head beyond 64 bits", "\t2\tns", f"\t{BIG}\tns"), ("a head of 5,000 digits", "\t2\tns", f"\t{DIGITS}\tns"),
    )},
    "conllx, the number of a word of 5,000 digits": ("conllx", corpora.CONLLX.replace("\n2\t", f"\n{DIGITS}\t")),
    "sdp, the number of a word of 5,000 digits": ("sdp", corpora.SDP_OFFICIAL.replace("\n2\t", f"\n{DIGITS}\t")),
    "conll2012, a cluster of 5,000 digits": ("conll2012", corpora.CONLL2012.replace("(0)", f"({DIGITS})", 1)),
    "conll2012, the number of a word": ("conll2012", corpora.CONLL2012.replace("   0   Ann", f"   {DIGITS}   Ann", 1)),
    "streusle, a word number beyond 64 bits": ("streusle", SWES % BIG),
    "streusle, a word number of 5,000 digits": ("streusle", SWES % DIGITS),
    "streusle, a word number of another script": ("streusle", SWES % "²"),
    "it-happened, an index beyond 64 bits": ("it-happened", ITEM % (BIG, 1)),
    "it-happened, an index of 5,000 digits": ("it-happened", ITEM % (DIGITS, 1)),
    "it-happened, a label that no float holds": ("it-happened", ITEM % (1, "9" * 400)),
    "it-happened, a label without end": ("it-happened", ITEM % (1, "1e999")),
    "it-happened, a label that is no number": ("it-happened", ITEM % (1, "NaN")),
}  # fmt: skip


@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_of_corpora(kind, tmp_path, measured):
    format, text = NUMBERS[kind]
    path = tmp_path / "a"
    path.write_text(text)
    message = measured(kind, lambda: read_instances(FORMATS[format], path, format=format), BridgeError)
    assert str(path) in message


@pytest.mark.parametrize("format", [key for key in FORMATS if key != BIOUL])
def test_corpora_damaged_in_bytes(format, tmp_path, measured):
    path, text = tmp_path / "a", corpora.CORPORA[format][2].encode()
    packed = gzip.compress(text * 50)
    cases = {
        "a zero byte": text.replace(b"\n", b"\0\n", 1),
        "half a character": text[:-1] + b"\xc3\n",
        "a return inside": text.replace(b"\n", b"\rx\n", 1),
        "cut gzip": packed[: len(packed) // 2],
        "gzip twice": gzip.compress(packed),
        "an archive": b"PK\x03\x04\x14\x00" + text,
        "a word and 4 MB of objects": gzip.compress(text + b'{"a": 0},' * 400_000, 1),
        "nothing": b"",
        "blanks": b" \t\n" * 1000,
        "line ends that unpack to 64 MB": gzip.compress(b"\n" * (64 << 20), 1),
    }
    for kind, content in cases.items():
        path.write_bytes(content)
        measured(f"{format}: {kind}", lambda: read_instances(FORMATS[format], path, format=format), BridgeError)


def row(**cells):
    """A table `bleu` of one row."""
    good = {"experiment": "e", "level": "1", "test_set": "t", "metric": "sacrebleu", "score": "1", "n": "3"}
    columns = list(TABLES["bleu"].columns)
    values = [f'"{text}"' if "," in (text := {**good, **cells}.get(column, "")) else text for column in columns]
    return ",".join(columns) + "\n" + ",".join(values) + "\n"


TABLE_KINDS = {
    "a metric of 20,000 characters": row(metric="$x" * 10_000),
    "an experiment of 20,000 characters": row(experiment="e" * 20_000),
    "a level beyond 64 bits": row(level=BIG),
    "a level of 5,000 digits": row(level=DIGITS),
    "a level below 0": row(level="-1"),
    "a level of another script": row(level="²"),
    "a level that is a fraction": row(level="1.5"),
    "a level that is complex": row(level="1+2j"),
    "a count beyond 64 bits": row(n="-" + BIG),
    "a score that is none": row(score="nan"),
    "a score without end": row(score="1e999"),
    "a score that is a text": row(score="=1+1"),
    "a cell without end": row(metric='"' + "a" * 200_000),
    "a quote that stays open": row(metric='"'),
    "a row twice": row() + row().splitlines()[1] + "\n",
    "a column twice": row().replace("\n", ",level\n", 1).replace(",3", ",3", 1)[:-1] + ",1\n",
    "a row of 100,000 cells": row() + "," * 100_000 + "\n",
    "a header of 100,000 names": ",".join(map(str, range(100_000))) + "\n",
    "a header alone, of another table": ",".join(TABLES["lth"].columns) + "\n",
    "half a row": row()[:-1],
    "zero bytes": row(metric="a\0b"),
}


@pytest.mark.parametrize("kind", TABLE_KINDS)
def test_tables(kind, tmp_path, measured):
    path = tmp_path / "bleu.csv"
    path.write_text(TABLE_KINDS[kind])
    assert str(path) in measured(f"table: {kind}", lambda: read_table(path, "bleu"), BridgeError)


TASK = "  pos: {train: %s, dev: a.conllu, test: a.conllu}\n"
LAUGHS = "a: &a [x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
SUITES = {
    "a billion laughs": LAUGHS + "tasks: *i\n",
    "an alias of itself": "tasks: &a {pos: *a}\n",
    "a tag that runs": "tasks: !!python/object/apply:os.mkdir [mark]\n",
    "a tag that runs as a key": "? !!python/object/apply:os.mkdir [mark]\n: 1\n",
    "a value that runs": "tasks:\n" + TASK % "!!python/name:os.system x",
    "keys merged": "x: &x {train: a}\ntasks:\n  pos: {<<: *x}\n",
    "a key twice": "tasks:\n" + TASK % "a.conllu" * 2,
    "a key that is a list": "? [a, b]\n: 1\n",
    "1,500 keys": "".join(f"k{n}: 1\n" for n in range(1_500)),
    "a key of 15,000 characters": "k" * 15_000 + ": 1\n",
    "15,000 brackets": "[" * 15_000,
    "5,000 lists": "tasks: [" + "[]," * 5_000 + "]\n",
    "a megabyte": "# a comment\n" * 90_000,
    "a path out of the folder": "tasks:\n" + TASK % "../secret",
    "a path from the root": "tasks:\n" + TASK % "/etc/passwd",
    "a link out of the folder": "tasks:\n" + TASK % "link",
    "a device": "tasks:\n" + TASK % "/dev/zero",
    "a FIFO": "tasks:\n" + TASK % "fifo",
    "a folder": "tasks:\n" + TASK % ".",
    "links in a circle": "tasks:\n" + TASK % "circle",
    "a path of 5,000 characters": "tasks:\n" + TASK % ("a/" * 2500),
    "a zero in a path": "tasks:\n" + TASK % '"a\\0"',
    "a path over two lines": "tasks:\n" + TASK % '"a\\nb"',
    "half a surrogate": "tasks:\n" + TASK % '"\\ud800"',
    "a number for a path": "tasks:\n" + TASK % DIGITS,
    "a number with sixties": "tasks: 1:" + "59:" * 5000 + "1\n",
    "no YAML": "tasks: {pos: [}\n",
    "two documents": "tasks: {}\n---\ntasks: {}\n",
    "bytes of another encoding": "tasks:\n\x00\x01",
}


@pytest.mark.parametrize("kind", SUITES)
def test_suites(kind, tmp_path, measured, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret").write_text("private")
    folder = tmp_path / "suite"
    folder.mkdir()
    (folder / "a.conllu").write_text(corpora.CONLLU)
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "circle").symlink_to("circle")
    os.mkfifo(folder / "fifo")
    path = folder / "suite.yaml"
    path.write_text(SUITES[kind])
    message = measured(f"suite: {kind}", lambda: load_suite(path), BridgeError, lines=True)
    assert str(path) in message and "private" not in message and not (tmp_path / "mark").exists()


VECTORS = {
    "a number of words of 5,000 digits": f"{DIGITS} 2\nnap 1 2\n",
    "a number of columns beyond 64 bits": f"1 {BIG}\nnap 1 2\n",
    "a number of columns that is not there": f"1 {10**17}\nnap 1 2\n",
    "a value without end": "nap 1 1e999\n",
    "a value that is none": "nap 1 nan\n",
    "a complex value": "nap 1 1+2j\n",
    "a word twice": "nap 1 2\nnap 3 4\n",
    "a million columns": "nap" + " 1" * 1_000_000 + "\n",
}
TRANSLATIONS = {
    "a number of 5,000 digits": f"H-{DIGITS}\t0\tx\n",
    "a number beyond 64 bits": f"H-{BIG}\t0\tx\n",
    "a number of another script": "H-²\t0\tx\n",
    "a number below 0": "H--1\t0\tx\n",
    "a number twice": "H-1\t0\tx\nH-01\t0\ty\n",
}
PAPERS = {
    "a number of 5,000 digits": f'{{"best_layer": {{"pos": [{DIGITS}]}}}}',
    "a number that no float holds": f'{{"best_layer": {{"pos": [{"9" * 400}]}}}}',
    "a number that is none": '{"best_layer": {"pos": [NaN]}}',
    "a level of 300 digits": f'{{"neurons_max_corr_with_same_index": {{"LTH{"9" * 300}": [1]}}}}',
    "a list without numbers": '{"neurons_max_corr_with_same_index": {"LTH1": []}}',
    "a name of 20,000 characters": f'{{"best_layer": {{"{"p" * 20_000}": [1]}}}}',
    "a key of 20,000 characters": f'{{"best_layer{"p" * 20_000}": 3}}',
}


@pytest.mark.parametrize(
    ("reader", "kind", "text"),
    [(reader, kind, text) for reader, kinds in (
        ("vectors", VECTORS), ("translations", TRANSLATIONS), ("numbers of a paper", PAPERS),
    ) for kind, text in kinds.items()],
    ids=lambda value: value[:40] if "\n" not in value else "",
)  # fmt: skip
def test_other_texts(reader, kind, text, tmp_path, measured):
    path = tmp_path / "a"
    path.write_text(text)
    assert str(path) in measured(f"{reader}: {kind}", lambda: READERS[reader](path), BridgeError)


def test_the_longest_line_that_is_read(tmp_path):
    """A line of a megabyte is read by both ways of reading, one byte more by neither."""
    path = tmp_path / "a"
    for line in (b"a" * (1 << 20), b"a" * ((1 << 20) + 1)):
        path.write_bytes(b"first\n" + line + b"\nlast\n")
        if len(line) == 1 << 20:
            assert [len(text) for text in plain_lines(path)] == [len(text) for _, text in numbered_lines(path)]
            assert len(plain_lines(path)[1]) == 1 << 20
        else:
            for read in (plain_lines, numbered_lines):
                with pytest.raises(BridgeError, match=re.escape(f"{path}:2: a line of more than")):
                    list(read(path))


@pytest.mark.parametrize("n", [8_000, 16_000])
def test_a_sentence_of_many_words_is_read_within_the_bounds(n, tmp_path, within):
    path = tmp_path / "a.conllu"
    rows = (f"{i}\tw\t_\tX\t_\t_\t{i - 1}\t{'dep' if i > 1 else 'root'}\t_\t_\n" for i in range(1, n + 1))
    path.write_text("".join(rows))
    found = within(f"syn_arc_prediction: {n:,} words", lambda: read_instances("syn_arc_prediction", path))
    assert len(found[0].labels) == 2 * (n - 1)
