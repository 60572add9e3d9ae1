"""The stage `sentences`: what has to be encoded for a suite, each text once."""

from __future__ import annotations

from probing_bridge.corpora.instances import Instance
from probing_bridge.corpora.suite import SPLITS, Suite
from probing_bridge.errors import Faults, InputError
from probing_bridge.formats.sentences import Text, unwritable_word


def suite_texts(suite: Suite) -> list[Text]:
    """The texts to encode.

    Args:
        suite: A checked suite.

    Returns:
        Each different text once, in the order of the suite and of its files, in which probes read them: the vectors of
        neighbours lie side by side then. Where a text is a document in one task and a single sentence in another, the
        document's sentence ends are kept.

    Raises:
        BridgeError: The first fault of every file of the suite, a word with white space inside among them, a line each.
    """
    faults = Faults()
    texts: dict[tuple[str, ...], Instance] = {}
    for name, task in suite.tasks.items():
        for split in SPLITS:
            instances = faults.of(task.read, split) or []
            for instance in instances:
                known = texts.setdefault(instance.tokens, instance)
                if instance.sentence_starts and not known.sentence_starts:
                    texts[instance.tokens] = instance
            words = (unwritable_word(instance.tokens) for instance in instances)
            if (word := next((word for word in words if word is not None), None)) is not None:
                text = f"task {name}: the word {word!r} is empty or contains white space; put another character there, "
                faults.add(str(InputError(text + "or leave the sentence out", task.path(split))))
    faults.tell()
    return [_text(instance) for instance in texts.values()]


def _text(instance: Instance) -> Text:
    starts = instance.sentence_starts or (0,)
    ends = (*starts[1:], len(instance.tokens))
    return Text(tuple(tuple(instance.tokens[first:last]) for first, last in zip(starts, ends, strict=True)))
