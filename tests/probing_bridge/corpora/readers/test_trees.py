"""Bracketed trees; the slow formula is NLTK's own walk from leaf to root."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.tree import ParentedTree

TASKS = ("parent", "gparent", "ggparent")


def labels(read, text, **options):
    found = [read(task, text, **options) for task in TASKS]
    assert len({one[0][0] for one in found}) == 1
    return found[0][0][0], [" ".join(one[0][1]) for one in found]


def test_example(corpora, read):
    expected = ["NP-SBJ VP S", "S S None", "None None None"]
    assert labels(read, corpora.TREES, compat=True) == ("Otters nap .", expected)
    assert labels(read, corpora.TREES) == ("Otters nap .", ["NP VP S", *expected[1:]])


@pytest.mark.parametrize("root", ["", "TOP", "VROOT", "ROOT", "S1"])
def test_roots(root, read):
    text = f"({root} (S (NP (NNS Otters)) (VP (VBP nap)) (. .)))"
    bare = ["NP VP S", "S S None", "None None None"]
    assert labels(read, text)[1] == bare
    kept = ["NP VP S", f"S S {root}", f"{root} {root} None"]
    assert labels(read, text, compat=True)[1] == (kept if root in ("ROOT", "S1") else bare)


def test_the_original_loses_the_second_child_of_a_root(read):
    text = "(TOP (NP (NN Rain)) (. .))"
    assert labels(read, text, compat=True) == ("Rain", ["NP", "None", "None"])
    assert labels(read, text) == ("Rain .", ["NP None", "None None", "None None"])


def test_brackets_are_unescaped_by_exact_match(read):
    text = "(S (A -LRB-) (B -RRB-) (C -LCB-) (D -RCB-) (E -LSB-) (F -RSB-) (G ``) (H \\/) (I -lrb-))"
    assert read("parent", text)[0][0] == "( ) { } [ ] `` / -lrb-"
    assert read("parent", text, compat=True)[0][0] == "( ) { } [ ] `` \\/ -lrb-"


def test_empty_elements_are_no_words(read):
    text = "(S (NP-1 (-NONE- *)) (VP (VBG napping)))"
    assert read("parent", text) == [("napping", ["VP"], None)]
    assert read("parent", text, compat=True) == [("* napping", ["NP-1", "VP"], None)]


def test_function_tags_and_indices_are_cut_off(read):
    text = "(S (NP-SBJ=2 (N a)) (NP=1 (N b)) (ADVP|PRT (R c)) (-X- (N d)))"
    assert read("parent", text)[0][1] == ["NP", "NP", "ADVP|PRT", "-X"]


def test_a_word_alone(read):
    for compat in (False, True):  # the original crashes
        assert read("parent", "(TOP (NN Rain))", compat=compat) == [("Rain", ["None"], None)]


def test_comments_and_blank_lines(read):
    assert len(read("parent", "# (S\n\n  \n(S (N a))\n#\n(S (N b))\n\n")) == 2


@pytest.mark.parametrize("compat", [False, True])
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("(S (N a)", "the brackets are not balanced: the tree does not end"),
        ("(S (N a)))", "expected one tree a line, found ')' after it"),
        ("(S (N a)) (S (N b))", "expected one tree a line, found '(S' after it"),
        (")", "expected a tree in brackets, found ')'"),
        ("otters (S (N a))", "expected a tree in brackets, found 'otters'"),
    ],
)
def test_unbalanced(line, message, compat, fault):
    assert fault("parent", f"(S (N a))\n{line}\n", compat=compat).startswith(f"a.txt:2: {message}")


def test_words_without_a_bracket_of_their_own(fault):
    assert "(NP ...) mixes words and brackets" in fault("parent", "(S (NP (DT the) cat))")
    assert "(NP ...) has 2 words" in fault("parent", "(S (NP the cat))")
    assert "(NP ...) has 0 words" in fault("parent", "(S (NP) (N a))")
    assert "inside of the tree has no label" in fault("parent", "(S ( (N a)))")
    for text in ("(S (NP (DT the) cat))", "(S (NP the cat))", "(S (NP) (N a))"):
        assert "expected each word in a bracket" in fault("parent", text, compat=True)


def test_a_tree_of_any_depth(read):
    depth = 100_000
    assert read("ggparent", "(X " * depth + "a" + ")" * depth) == [("a", ["X"], None)]


trees = st.recursive(
    st.builds("({} {})".format, st.sampled_from("ABC"), st.sampled_from("abc")),
    lambda inner: st.builds(
        lambda top, parts: f"({top} {' '.join(parts)})", st.sampled_from("STU"), st.lists(inner, min_size=1)
    ),
    max_leaves=12,
)


@given(tree=trees)
def test_ancestors_equal_nltk(tree, tmp_path_factory):
    from probing_bridge.corpora.tasks import read_instances

    path = tmp_path_factory.mktemp("trees") / "a.trees"
    path.write_text(tree)
    slow = ParentedTree.fromstring(tree)
    for level, task in enumerate(TASKS, 1):
        expected = []
        for position in range(len(slow.leaves())):
            node = slow[slow.leaf_treeposition(position)[:-1]]
            for _ in range(level):
                node = node.parent() if node is not None else None
            expected.append("None" if node is None else node.label())
        for compat in (False, True):
            (found,) = read_instances(task, path, compat=compat)
            assert (list(found.tokens), list(found.labels)) == (slow.leaves(), expected)
