"""STREUSLE's own .conllulex: adposition supersenses without the detour over JSON (Schneider et al. 2018).

Its 19 columns are those of CoNLL-U and the lexical ones; what they say of single words is what the converter writes
to "swes", so that both files give the same instances.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from probing_bridge.corpora.instances import Instance
from probing_bridge.corpora.readers.conllu import FORM, ID, UPOS, forms, read_words
from probing_bridge.corpora.readers.source import Source
from probing_bridge.corpora.readers.words import not_annotated

SMWE, ROLE, FUNCTION = 10, 13, 14
N_COLUMNS = 19


def read_supersenses(source: Source, column: int) -> Iterator[Instance]:
    """Adposition supersenses of words that are not part of a strong multiword expression.

    Args:
        source: A .conllulex file.
        column: ROLE or FUNCTION.

    Yields:
        The sentences in which some word has a supersense `p.*`.

    Raises:
        InputError: Another number of columns, words not numbered 1, 2, ..., withheld words, a word with only one of
            role and function, or no item at all.
    """
    found = False
    for sentence in source.once(_read_words):
        expressions, roles, functions = (sentence[kind] for kind in (SMWE, ROLE, FUNCTION))
        single = [
            (position, sentence[column][position])
            for position, (expression, *senses) in enumerate(zip(expressions, roles, functions, strict=True))
            if expression == "_" and any(sense.startswith("p.") for sense in senses)
        ]
        if (at := not_annotated([label for _, label in single])) is not None:
            position, label = single[at]
            raise source.blank_label(f"column {column + 1}", label, sentence.numbers[position])
        items = [(position, label) for position, label in single if label.startswith("p.")]
        if items:
            yield Instance(forms(source, sentence), tuple(label for _, label in items), tuple(i for i, _ in items))
            found = True
    if not found:
        raise source.nothing(f"no single word has a supersense p.* in column {column + 1}")


_read_words = partial(read_words, n_columns=N_COLUMNS, kept=(ID, FORM, UPOS, SMWE, ROLE, FUNCTION))
read_roles = partial(read_supersenses, column=ROLE)
read_functions = partial(read_supersenses, column=FUNCTION)
