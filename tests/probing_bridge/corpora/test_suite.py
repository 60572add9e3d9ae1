"""Suite files: good ones, and every fault at once."""

from pathlib import Path

import pytest

from probing_bridge.corpora.readers import source, trees
from probing_bridge.corpora.suite import SPLITS, load_suite
from probing_bridge.corpora.tasks import read_instances
from probing_bridge.errors import BridgeError

TAGS = "a\tB\n"


@pytest.fixture
def suite(tmp_path):
    """suite(text, data=None) -> the suite, with the files c.tsv, sub/c.tsv.gz and ud.conllu beside it."""

    def load(text, data=None):
        (tmp_path / "sub").mkdir(exist_ok=True)
        for name in ("c.tsv", "sub/c.tsv.gz", "ud.conllu"):
            (tmp_path / name).write_text(TAGS)
        path = tmp_path / "suite.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_suite(path, data)

    return load


def faults(suite, text, data=None):
    """The faults by line, without the folder."""
    with pytest.raises(BridgeError) as caught:
        suite(text, data)
    return [line[line.index("suite.yaml") :] for line in str(caught.value).split("\n")]


def test_paths_start_from_the_folder_of_the_file(suite, tmp_path):
    found = suite("tasks:\n  conj: {train: c.tsv, dev: sub/c.tsv.gz, test: ./c.tsv}\n")
    assert found.root == tmp_path and list(found.tasks) == ["conj"]
    task = found.tasks["conj"]
    assert (task.train, task.dev, task.path("test")) == (
        tmp_path / "c.tsv",
        tmp_path / "sub/c.tsv.gz",
        tmp_path / "c.tsv",
    )
    assert not task.compat and task.format is None
    assert [(one.tokens, one.labels) for one in task.read("train")] == [(("a",), ("B",))]


def test_another_root(suite, tmp_path):
    found = suite("tasks:\n  conj: {train: c.tsv.gz, dev: c.tsv.gz, test: c.tsv.gz}\n", tmp_path / "sub")
    assert found.tasks["conj"].dev == tmp_path / "sub" / "c.tsv.gz"


def test_compat_and_format(suite):
    task = "{train: c.tsv, dev: c.tsv, test: c.tsv}"
    found = suite(f"compat: liu2019\ntasks: {{conj: {task}, ged: {task}}}").tasks
    assert found["conj"].compat and found["ged"].compat
    found = suite(f"tasks: {{conj: {task}, ccg: {task[:-1]}, format: ccgbank, compat: liu2019}}}}").tasks
    assert not found["conj"].compat and found["ccg"].compat and found["ccg"].format == "ccgbank"


def test_the_language_of_the_corpora(suite):
    task = "{train: c.tsv, dev: c.tsv, test: c.tsv}"
    assert suite(f"tasks: {{conj: {task}}}").language == ""
    assert suite(f"language: de\ntasks: {{conj: {task}}}").language == "de"
    assert faults(suite, f"language: [de]\ntasks: {{conj: {task}}}") == [
        "suite.yaml:1: expected one line of text as language"
    ]


ROWS = [
    "1\tDer\t_\tDET\t_\tCase=Nom|Gender=Masc\t2\tdet\t_\t_",
    "2\tHund\t_\tNOUN\t_\tCase=Nom\t3\tnsubj\t_\t_",
    "3\tsieht\t_\tVERB\t_\tTense=Pres\t0\troot\t_\t_",
    "4\tihn\t_\tPRON\t_\tCase=Acc|Odd=Yes\t3\tobj\t_\t_",
]


def treebank(tmp_path, **change):
    """Writes tb.conllu."""
    (tmp_path / "tb.conllu").write_text("\n".join(change.get(f"row{n}", row) for n, row in enumerate(ROWS)) + "\n\n")


TREEBANK = "treebank: {train: tb.conllu, dev: tb.conllu, test: tb.conllu}\n"


def test_a_treebank_is_a_source_of_tasks(suite, tmp_path):
    """Each universal feature whose values differ is a task of the words that have it; Gender has one value."""
    treebank(tmp_path)
    found = suite(f"language: de\nside: target\n{TREEBANK}")
    assert (found.side, found.language) == ("target", "de")
    assert list(found.tasks) == ["pos", "syn_arc_prediction", "syn_arc_classification", "feat_case"]
    (one,) = found.tasks["feat_case"].read("train")
    assert (one.labels, one.indices) == (("Nom", "Nom", "Acc"), (0, 1, 3))
    (one,) = found.tasks["syn_arc_classification"].read("test")
    assert sorted(one.labels) == ["det", "nsubj", "obj"]


def test_compat_is_for_a_treebank_too(suite, tmp_path):
    treebank(tmp_path)
    for text in (f"compat: liu2019\n{TREEBANK}", TREEBANK.replace("}", ", compat: liu2019}")):
        tasks = suite(text).tasks
        assert len(tasks) == 4 and all(task.compat for task in tasks.values())
        assert [task.read("train") for task in tasks.values()] == [
            read_instances(name, tmp_path / "tb.conllu", compat=True) for name in tasks
        ]


TREES = "(S (NP (DT the) (NN cat)) (VP (VBZ sleeps)))\n"
ON_TREES = "".join(
    f"  {task}: {{train: a.ptb, dev: a.ptb, test: b.ptb}}\n" for task in ("parent", "gparent", "ggparent")
)


def test_a_file_is_read_and_parsed_once_whatever_the_number_of_tasks(suite, tmp_path, monkeypatch):
    """As many tasks as there may be on one treebank, and three on trees; what was read is let go with its last task."""
    treebank(tmp_path)
    for name in ("a.ptb", "b.ptb"):
        (tmp_path / name).write_text(TREES)
    read, parsed = [], []

    def counted(function, calls):
        def call(*arguments, **keywords):
            calls.append(arguments[0])
            return function(*arguments, **keywords)

        return call

    monkeypatch.setattr(source, "read_source", counted(source.read_source, read))
    monkeypatch.setattr(source.Source, "blocks", counted(source.Source.blocks, parsed))
    monkeypatch.setattr(trees, "_parse", counted(trees._parse, parsed))
    tasks = suite(f"{TREEBANK}tasks:\n{ON_TREES}").tasks
    assert len(tasks) == 7
    found = {(task, split): tasks[task].read(split) for task in tasks for split in SPLITS}
    assert [path.name for path in read] == ["tb.conllu", "a.ptb", "b.ptb"]
    assert [one.path.name for one in parsed] == ["tb.conllu", "a.ptb", "b.ptb"]
    (sources,) = {id(task.sources): task.sources for task in tasks.values()}.values()
    assert not sources._held
    alone = {(task, split): read_instances(task, tasks[task].path(split)) for task, split in found}
    assert found == alone


def test_faults_of_a_treebank_are_one_line(suite, tmp_path):
    treebank(tmp_path, row1=ROWS[1].replace("Case=Nom", "Nom"))
    assert faults(suite, TREEBANK)[0].startswith("suite.yaml:1: ")
    with pytest.raises(BridgeError, match=r"tb.conllu:2: expected features such as Case=Nom\|Number=Sing"):
        suite(TREEBANK)
    treebank(tmp_path)
    assert faults(suite, f"side: middle\n{TREEBANK}") == [
        "suite.yaml:1: side can only be source or target, not 'middle'"
    ]
    twice = f"{TREEBANK}tasks:\n  pos: {{train: tb.conllu, dev: tb.conllu, test: tb.conllu}}\n"
    assert faults(suite, twice) == ["suite.yaml:3: pos is a task of the treebank already"]


def test_all_faults_at_once(suite):
    text = """\
compat: liu2018
task: 3
tasks:
  poss: {train: x}
  conj: {train: ../../etc/passwd, dev: nix, test: 3}
  ged: {train: c.tsv, tests: c.tsv}
  ged: 3
  chunk: {train: ud.conllu, dev: sub, test: [c.tsv], format: conll}
  ner: c.tsv
"""
    found = faults(suite, text)
    expected = [
        ":1: compat can only be liu2019, not 'liu2018'",
        ":2: unknown key 'task' in the suite; do you mean 'tasks'?",
        ":4: unknown key 'poss' in tasks; do you mean 'pos'?",
        ":5: ",
        ":5: no such file: ",
        ":5: expected one line of text as the file of conj's test",
        ":6: unknown key 'tests' in task ged; do you mean 'test'?",
        ":6: task ged has no file for dev",
        ":6: task ged has no file for test",
        ":7: 'ged' occurs twice in tasks",
        ":8: chunk is read from conll2000, not 'conll'",
        ":8: no such file: ",
        ":8: expected one line of text as the file of chunk's test",
        ":9: expected task ner to be a mapping with keys train, dev, test, format, compat",
    ]
    assert len(found) == len(expected)
    for line, start in zip(found, expected, strict=True):
        assert line.startswith("suite.yaml" + start)
    assert "leads out of" in found[3] and "--corpora" in found[3]


@pytest.mark.parametrize("name", ["/etc/passwd", "../c.tsv", "sub/../../c.tsv", "link", "a\\0b", "x" * 5000])
def test_paths_stay_inside(name, suite, tmp_path):
    outside = tmp_path.parent / "c.tsv"
    outside.write_text(TAGS)
    (tmp_path / "link").symlink_to(outside)
    (line,) = faults(suite, f'tasks:\n  conj: {{train: c.tsv, dev: c.tsv, test: "{name}"}}\n')
    assert "leads out of" in line or "no such file" in line or "expected one line of text" in line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "suite.yaml: is empty"),
        ("# nothing\n", "suite.yaml: is empty"),
        ("tasks:\n  - a\n", "suite.yaml:2: expected tasks to be a mapping"),
        ("[1]\n", "suite.yaml:1: expected the suite to be a mapping with keys compat, language, side, treebank, tasks"),
        ("compat: liu2019\n", "suite.yaml: has no key `tasks`, and no `treebank`"),
        ("tasks: {}\n", "suite.yaml:1: names no task"),
        ("tasks:\n  a: b: c\n", "suite.yaml:2: expected YAML: mapping values are not allowed here"),
        ("tasks: {a\n", "suite.yaml:2: expected YAML: "),
        ("tasks: *a\n", "suite.yaml:1: expected YAML: "),
        (b"tasks:\n\xff", "suite.yaml:2: byte 0xff is not UTF-8"),
        ("a: \0", "suite.yaml:1: a zero byte is not text"),
        ("a: 1\r2", "suite.yaml:1: a carriage return inside of a line"),
        ("--- 1\n--- 2\n", "suite.yaml:2: expected YAML: "),
        ("[" * 5000, "suite.yaml: expected a suite file, found values nested too deeply to read"),
        ("? [a]\n: b\n", "suite.yaml:1: unknown key '[...]' in the suite"),
        ("tasks: !!python/object/apply:os.system [ls]\n", "suite.yaml:1: expected tasks to be a mapping"),
        (" " * (1 << 21), "suite.yaml: has more than"),
    ],
)
def test_files_that_are_no_suite(text, message, suite):
    assert any(line.startswith(message) for line in faults(suite, text))


def test_byte_order_marks_of_joined_suites(suite):
    task = "{train: c.tsv, dev: c.tsv, test: c.tsv}"
    assert list(suite(f"\ufefftasks:\n  conj: {task}\n\ufeff  ged: {task}\n").tasks) == ["conj", "ged"]


def test_tags_for_a_crf_are_refused(suite):
    text = "tasks:\n  ner: {train: c.tsv, dev: c.tsv, test: c.tsv, format: conll2003-bioul}\n"
    assert "is not for probes" in faults(suite, text)[0]


def test_a_name_of_another_format(suite):
    (line,) = faults(suite, "tasks:\n  conj:\n    train: c.tsv\n    dev: c.tsv\n    test: ud.conllu\n")
    assert line.startswith("suite.yaml:5: ") and "is CoNLL-U by its name, but conj is read from conjuncts" in line


def test_no_folder_of_data(suite, tmp_path):
    with pytest.raises(BridgeError, match="nowhere: no such folder of corpora"):
        suite("tasks: {}", tmp_path / "nowhere")


def test_no_file(tmp_path):
    with pytest.raises(BridgeError, match=r"no\.yaml: cannot be read"):
        load_suite(tmp_path / "no.yaml")


def test_the_suite_of_the_open_data(shared):
    path = Path(__file__).resolve().parents[3] / "recipes" / "open_en_de" / "suite.yaml"
    from probing_bridge.corpora.tasks import PAPER_TASKS

    assert list(load_suite(path, shared / "data").tasks) == list(PAPER_TASKS)
