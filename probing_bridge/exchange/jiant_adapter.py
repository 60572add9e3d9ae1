"""Our activations in jiant 2.2.0: its task class, its head and its metric on frozen vectors of words.

`python -m probing_bridge.exchange.jiant_adapter --task DIR/pos --reps REPS.hdf5 --layer 3` trains jiant's edge-probing
head on the files that `export --to jiant` wrote and prints jiant's own scores beside ours, on the same predictions.
jiant registers no head for its edge-probing task type: the adapter does. Its reader throws test labels away: the test
file is read as a validation file. It calls a class predicted when its raw logit is above 0.5, which is p > 0.62: we
report that, and p > 0.5 beside it. docs/jiant.md says how jiant is installed.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from probing_bridge.errors import BridgeError
from probing_bridge.exchange.jiant_files import FILES, check_task
from probing_bridge.formats.representations import Representations

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
JIANT_THRESHOLD = 0.5  # on raw logits, as in jiant.tasks.evaluate.core.MultiLabelAccAndF1EvaluationScheme


@dataclass(frozen=True)
class Scores:
    """Scores of one set of predictions on the test file.

    Attributes:
        jiant_f1: Micro F1 by jiant's evaluation scheme.
        jiant_accuracy: Its accuracy over all (item, class) cells.
        f1_at_jiants_threshold: Our micro F1 on jiant's predictions, for comparison.
        f1: Our micro F1 with p > 0.5.
        accuracy: Share of items whose highest logit is the label's.
        n_items: Test items.
    """

    jiant_f1: float
    jiant_accuracy: float
    f1_at_jiants_threshold: float
    f1: float
    accuracy: float
    n_items: int


def micro_f1(predicted: np.ndarray, gold: np.ndarray) -> float:
    """Micro-averaged F1 over all (item, class) cells, in [0, 1]; 0 if nothing is predicted or nothing is gold.

    Args:
        predicted: (n_items, n_classes) of 0 and 1.
        gold: (n_items, n_classes) of 0 and 1.
    """
    hits = int((predicted * gold).sum())
    total = int(predicted.sum() + gold.sum())
    return 2 * hits / total if total else 0.0


class FrozenEncoder(torch.nn.Module):
    """What jiant's task model takes for its encoder: one stored vector for each word."""

    def __init__(self, representations: Representations, layer: str, tokenizer: Any) -> None:
        """Takes a layer of a representation file.

        Args:
            representations: The file.
            layer: Name of the layer.
            tokenizer: The tokenizer of the batches, whose tokens are whole words.
        """
        super().__init__()
        self._representations, self._layer, self._tokenizer = representations, layer, tokenizer

    def encode(self, input_ids: Tensor, segment_ids: Tensor, input_mask: Tensor) -> Any:
        """Vectors of a batch: (n_items, n_tokens, d), zero for [CLS], [SEP] and padding."""
        unpooled = torch.zeros(*input_ids.shape, self._representations.dim)
        for number, (ids, mask) in enumerate(zip(input_ids, input_mask, strict=True)):
            words = self._tokenizer.convert_ids_to_tokens(ids[mask.bool()].tolist())[1:-1]
            vectors = self._representations.read(words, [self._layer])[0]
            unpooled[number, 1 : 1 + len(words)] = torch.from_numpy(vectors)
        return SimpleNamespace(unpooled=unpooled, pooled=unpooled[:, 0], other=None)


def load_task(folder: Path) -> Any:
    """Jiant's own task class on the files of a folder, with the folder's labels.

    Args:
        folder: What `export --to jiant` wrote for a task.

    Returns:
        An instance of jiant's PosTask (single words) or DepTask (pairs), or of a subclass that only has other labels.

    Raises:
        InputError: Not such a folder, or a line of another kind.
        BridgeError: jiant is not installed.
    """
    labels, are_pairs = check_task(folder)
    try:
        from jiant.tasks.lib.edge_probing import dep, pos
        from jiant.tasks.lib.templates.shared import labels_to_bimap
    except ImportError as error:
        raise BridgeError(
            f"jiant does not import ({error}); see docs/jiant.md for its two installation steps"
        ) from error
    original = dep.DepTask if are_pairs else pos.PosTask
    to_id, to_label = labels_to_bimap(labels)
    own: Any = type(original.__name__, (original,), {"LABELS": labels, "LABEL_TO_ID": to_id, "ID_TO_LABEL": to_label})
    example = type("Example", (original.Example,), {"task": property(lambda self: own)})

    def create(cls: Any, lines: Any, set_type: str) -> list[Any]:
        return [example(**one.to_dict()) for one in original._create_examples(lines, set_type)]

    own.Example, own._create_examples = example, classmethod(create)
    files = {"train": FILES["train"], "val": FILES["dev"], "test": FILES["test"]}
    return own(folder.name, {split: str(folder / name) for split, name in files.items()})


def word_tokenizer(texts: Sequence[str], folder: Path) -> Any:
    """An offline BertTokenizer for which every white-space-separated word of the texts is one token.

    Args:
        texts: All texts that it will see.
        folder: Where its vocabulary file goes.
    """
    from transformers import BertTokenizer

    words = dict.fromkeys([*SPECIAL, *(word for text in texts for word in text.split())])
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("".join(f"{word}\n" for word in words), encoding="utf-8", newline="\n")
    tokenizer = BertTokenizer(str(vocabulary), do_lower_case=False, do_basic_tokenize=False)
    tokenizer.basic_tokenizer = SimpleNamespace(do_lower_case=False)  # jiant asks it whether words are lower-cased
    tokenizer.wordpiece_tokenizer.max_input_chars_per_word = max(map(len, words))
    return tokenizer


def round_trip(
    folder: Path, representations: Representations, layer: str, epochs: int = 10, seed: int = 0, batch_size: int = 80
) -> Scores:
    """Trains jiant's head on frozen vectors and scores its test predictions with jiant's metric and with ours.

    Args:
        folder: What `export --to jiant` wrote for a task.
        representations: Vectors of all its sentences.
        layer: Name of the layer, 0 = embeddings.
        epochs: Passes over the training file.
        seed: Seed of the head and of the order.
        batch_size: Items in a batch.

    Returns:
        The scores.

    Raises:
        BridgeError: Files, layers or sentences that are not there, or no jiant.
    """
    representations.require_layers([layer])
    task = load_task(folder)
    from jiant.proj.main.modeling.heads import JiantHeadFactory, SpanComparisonHead
    from jiant.proj.main.modeling.taskmodels import JiantTaskModelFactory
    from jiant.tasks.core import TaskTypes
    from jiant.tasks.evaluate.core import MultiLabelAccAndF1EvaluationScheme

    JiantHeadFactory.registry[TaskTypes.MULTI_LABEL_SPAN_CLASSIFICATION] = SpanComparisonHead
    train = task.get_train_examples()
    task.path_dict["val"] = task.path_dict["test"]  # jiant's reader of test files drops the labels
    test = task.get_val_examples()
    torch.manual_seed(seed)
    with tempfile.TemporaryDirectory() as scratch:
        tokenizer = word_tokenizer([example.text for example in (*train, *test)], Path(scratch))
    head = JiantHeadFactory()(task, hidden_size=representations.dim, hidden_dropout_prob=0.0)
    model = JiantTaskModelFactory()(task, FrozenEncoder(representations, layer, tokenizer), head)
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-3)
    rows = _featurize(train, tokenizer)
    for _ in range(epochs):
        order = torch.randperm(len(rows)).tolist()
        for batch in _batches(task, [rows[number] for number in order], batch_size):
            optimizer.zero_grad()
            model(batch, tokenizer, compute_loss=True).loss.backward()
            optimizer.step()
    scheme = MultiLabelAccAndF1EvaluationScheme()
    accumulator = scheme.get_accumulator()
    rows = _featurize(test, tokenizer)
    with torch.no_grad():
        for batch in _batches(task, rows, batch_size):
            accumulator.update(model(batch, tokenizer).logits.numpy(), 0.0, batch, {})
    gold = np.array([row.label_ids for row in rows])
    metrics = scheme.compute_metrics_from_accumulator(task, accumulator, tokenizer, gold).minor
    logits = accumulator.get_accumulated()
    return Scores(
        jiant_f1=float(metrics["f1_micro"]),
        jiant_accuracy=float(metrics["acc"]),
        f1_at_jiants_threshold=micro_f1((logits > JIANT_THRESHOLD).astype(int), gold),
        f1=micro_f1((logits > 0).astype(int), gold),
        accuracy=float((logits.argmax(1) == gold.argmax(1)).mean()),
        n_items=len(gold),
    )


def _featurize(examples: Sequence[Any], tokenizer: Any) -> list[Any]:
    """Jiant's data rows of examples, long enough for the longest."""
    from jiant.tasks.core import FeaturizationSpec

    spec = FeaturizationSpec(
        max_seq_length=max((len(example.text.split()) for example in examples), default=0) + 2,
        cls_token_at_end=False,
        pad_on_left=False,
        cls_token_segment_id=0,
        pad_token_segment_id=0,
        pad_token_id=tokenizer.pad_token_id,
        pad_token_mask_id=0,
        sequence_a_segment_id=0,
        sequence_b_segment_id=1,
        sep_token_extra=False,
    )
    with contextlib.redirect_stdout(io.StringIO()):  # jiant prints a line for every example
        return [example.tokenize(tokenizer).featurize(tokenizer, spec) for example in examples]


def _batches(task: Any, rows: Sequence[Any], size: int) -> Iterator[Any]:
    """Jiant's batches of data rows."""
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        fields = {name: [getattr(row, name) for row in part] for name in task.Batch.get_fields()}
        tensors = {
            name: torch.from_numpy(np.stack(values)) if isinstance(values[0], np.ndarray) else values
            for name, values in fields.items()
        }
        yield task.Batch(**tensors)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a round trip and prints jiant's scores beside ours.

    Args:
        argv: Arguments after the program's name; those of the process if None.

    Returns:
        Exit status: 0 done, 2 bad input (one line on standard error says what and where).
    """
    parser = argparse.ArgumentParser(
        prog="python -m probing_bridge.exchange.jiant_adapter", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--task", required=True, type=Path, metavar="DIR", help="a task's folder of `export --to jiant`"
    )
    parser.add_argument("--reps", required=True, type=Path, metavar="REPS.hdf5", help="word representations")
    parser.add_argument("--layer", required=True, metavar="LAYER", help="its name, such as 3 or norm; 0 = embeddings")
    parser.add_argument(
        "--epochs", type=int, default=10, metavar="N", help="passes over the training file (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the head (%(default)s)")
    arguments = parser.parse_args(argv)
    try:
        with Representations(arguments.reps) as representations:
            scores = round_trip(arguments.task, representations, arguments.layer, arguments.epochs, arguments.seed)
    except BridgeError as error:
        print(f"probing_bridge.exchange.jiant_adapter: error: {error}", file=sys.stderr)
        return 2
    print(f"{arguments.task.name}, layer {arguments.layer}, {scores.n_items} test items")
    print(f"jiant:  micro F1 {scores.jiant_f1:.6f}  accuracy {scores.jiant_accuracy:.6f}  (logit > 0.5, p > 0.62)")
    print(f"ours:   micro F1 {scores.f1_at_jiants_threshold:.6f}  on the same predictions")
    print(f"ours:   micro F1 {scores.f1:.6f}  with p > 0.5; accuracy of the best class {scores.accuracy:.6f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
