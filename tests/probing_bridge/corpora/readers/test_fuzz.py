"""Whatever a file holds, readers give instances or the one error type."""

import random

from hypothesis import example, given
from hypothesis import strategies as st

from probing_bridge.corpora.readers.formats import BIOUL
from probing_bridge.corpora.tasks import PAPER_TASKS, TASKS, read_instances
from probing_bridge.errors import BridgeError

PIECES = [
    "\t", "  ", "\n", "\n\n", "\r", " ", "(", ")", "_", "-", "+", "#", "1", "2", "0", "-1", "1-2", "1.1",
    "\u00b2", "9999999999", "{", "}", "[", "]", "\"", ":", ",", "NaN", "null", "1e999", "\\ud800", "\u2028",
    "\u00a0", '\x0b', '\x00', "\ufeff", "(<L ", ">", "(<", "(7)", "(7", "7)", "|", "#begin document",
    "#end document", "#SDP", "-DOCSTART-", "O", "B-X", "p.Locus", "c", "i", "B", "CON", "N/N", "~", "\"ss\"",
    "\"swes\"", "\"labels\"", "(S (N a))", "()", "( (", "None",
]  # fmt: skip
pieces = st.lists(st.sampled_from(PIECES), max_size=60).map("".join)


def check(text, folder, name="a.txt", formats=None):
    """Reads a text as every format of every task."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    for task in (*PAPER_TASKS.values(), TASKS["feat_case"]):
        for format in task.formats:
            for compat in (False, True):
                try:
                    found = read_instances(task.name, path, compat=compat, format=format)
                except BridgeError as error:
                    assert "\n" not in str(error) and len(str(error)) < 1000
                else:
                    assert found and all(instance.labels for instance in found)


@example(text="\u2028\n(")
@given(text=pieces)
def test_pieces(text, tmp_path_factory):
    check(text, tmp_path_factory.getbasetemp())


@given(data=st.binary(max_size=200))
def test_bytes(data, tmp_path_factory):
    check(data, tmp_path_factory.getbasetemp())
    check(b"\x1f\x8b\x08" + data, tmp_path_factory.getbasetemp(), "a.gz")


@given(data=st.data())
def test_changed_corpora(data, corpora, tmp_path_factory):
    """A correct file with a few places cut out, doubled or replaced, read as what it was and as everything else."""
    _, _, text = corpora.CORPORA[data.draw(st.sampled_from(sorted(corpora.CORPORA)))]
    rng = random.Random(data.draw(st.integers(0, 2**32)))
    for _ in range(rng.randint(1, 4)):
        first = rng.randrange(len(text) + 1)
        last = min(len(text), first + rng.choice([0, 0, 1, 2, 20]))
        text = text[:first] + rng.choice(["", text[first:last] * 2, rng.choice(PIECES)]) + text[last:]
    check(text, tmp_path_factory.getbasetemp())


def test_every_format_is_fuzzed(corpora):
    assert {key for task in PAPER_TASKS.values() for key in task.formats} == {*corpora.CORPORA, BIOUL}
