"""A file of words -> windows -> batches -> one vector a word and layer -> a file of word representations.

What is the same for every model: which sentences are encoded, in what batches, what becomes of their vectors, and what
is refused. A toolkit brings a Segmenter (words to pieces) and an Encoder (pieces to vectors).
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from probing_bridge.capture.windows import NO_WORD, Segmenter, Window, pool
from probing_bridge.errors import BridgeError, InputError
from probing_bridge.formats.origin import Origin
from probing_bridge.formats.representations import RepresentationWriter
from probing_bridge.formats.sentences import Text, read_sentences
from probing_bridge.formats.text import numbered_lines
from probing_bridge.formats.words import WordsError

logger = logging.getLogger("encode")
ENOUGH = 256  # pieces in a batch with which matrix products run at full rate
MOST_UNKNOWN = 0.5  # share of unknown pieces from which vectors say nothing of the words
BLOCK = 16384  # pieces that are sorted by length together, and whose vectors are held at once
_Placed = tuple[Window, np.ndarray]  # a window and the array of its sentence


@dataclass(frozen=True)
class Sentence:
    """A text of the file: its words, and the windows that are encoded for it."""

    words: tuple[str, ...]
    windows: list[Window]

    @property
    def n_pieces(self) -> int:
        """Pieces of all windows."""
        return sum(len(window.ids) for window in self.windows)


class Encoder(ABC):
    """A model, with pooling.

    Attributes:
        layers: Names of the layers, in the order of the arrays: 0, 1, .., and norm in pre-norm models.
        dim: Neurons of a layer.
        limit: The largest number of pieces it takes, with those before and after the words.
    """

    layers: list[str]
    dim: int
    limit: int

    def __init__(self, pooling: str, max_tokens: int) -> None:
        """Takes the settings.

        Args:
            pooling: How pieces become a word: mean, first or last.
            max_tokens: Pieces in a batch, padding included.
        """
        self._pooling, self._max_tokens = pooling, max_tokens

    @abstractmethod
    def run(self, windows: Sequence[Window]) -> dict[str, Tensor]:
        """Every layer of the real pieces of a batch, one window after the other: (n_pieces, d) by name."""

    def encode(self, sentences: Sequence[Sentence]) -> list[np.ndarray]:
        """Encodes sentences, sorted by length inside.

        Returns:
            For each sentence (n_layers, n_words, d) float32.
        """
        arrays = [np.empty((len(self.layers), len(one.words), self.dim), np.float32) for one in sentences]
        windows = [(window, array) for one, array in zip(sentences, arrays, strict=True) for window in one.windows]
        windows.sort(key=lambda pair: len(pair[0].ids))
        for batch in in_batches(windows, self._max_tokens):
            for (window, array), vectors in zip(batch, self._encode([window for window, _ in batch]), strict=True):
                keep = window.keep
                array[:, window.first + keep.start : window.first + keep.stop] = vectors[:, keep.start : keep.stop]
        return arrays

    @torch.inference_mode()
    def _encode(self, windows: Sequence[Window]) -> list[np.ndarray]:
        """(n_layers, n_words, d) of each window of a batch."""
        # number the words of the batch through
        counts = [max(window.owners) + 1 for window in windows]
        starts = np.concatenate(([0], np.cumsum(counts)))
        owners = np.concatenate([np.asarray(window.owners) for window in windows])
        owned = owners != NO_WORD
        numbers = (owners + np.repeat(starts[:-1], [len(window.ids) for window in windows]))[owned]
        states = self.run(windows)
        device = next(iter(states.values())).device
        rows, words = torch.from_numpy(np.flatnonzero(owned)).to(device), torch.from_numpy(numbers).to(device)
        pooled = [
            pool(states[name].index_select(0, rows).float(), words, int(starts[-1]), self._pooling)
            for name in self.layers
        ]
        vectors = torch.stack(pooled).cpu().numpy()  # (n_layers, n_words, d)
        return np.split(vectors, starts[1:-1], axis=1)


def in_batches(windows: Sequence[_Placed], max_tokens: int) -> Iterator[list[_Placed]]:
    """Cuts windows that are sorted by length into batches.

    Args:
        windows: Windows with the arrays their vectors go to, shortest first.
        max_tokens: The largest number of pieces in a batch, padding included; a longer window is a batch by itself.

    Yields:
        Batches. One that has ENOUGH pieces ends where the length changes, so that it needs no padding.
    """
    batch: list[_Placed] = []
    longest = 0
    for placed in windows:
        length = len(placed[0].ids)
        is_enough = length > longest and len(batch) * longest >= ENOUGH
        if batch and (is_enough or (len(batch) + 1) * length > max_tokens):
            yield batch
            batch = []
        batch.append(placed)
        longest = length
    if batch:
        yield batch


@dataclass(frozen=True)
class Output:
    """The file of word representations, and how it is written.

    Attributes:
        path: The name of the whole.
        dtype: float32 or float16.
        shard: (i, n): which of n parts this process writes, from 0.
    """

    path: Path
    dtype: str = "float32"
    shard: tuple[int, int] = (0, 1)


@dataclass(frozen=True)
class SourceTexts:
    """What the encoder reads while the words of a target go through the decoder (teacher forcing).

    Attributes:
        path: A file with a line for each of the sentences file, and as many sentences in it; None: every source is
            empty.
        segmenter: Cuts its words.
        limit: The largest number of pieces that the encoder takes.
    """

    path: Path | None
    segmenter: Segmenter
    limit: int

    def read(self, sentences: Path) -> dict[int, tuple[tuple[str, ...], ...]]:
        """The sentences of each line by its number; without a file nothing.

        Raises:
            InputError: Another number of lines than the sentences file has.
        """
        if self.path is None:
            return {}
        lines = dict(numbered_lines(self.path))
        n_lines = sum(1 for _ in numbered_lines(sentences))
        if len(lines) != n_lines:
            raise InputError(f"has {len(lines)} lines, {sentences} {n_lines}: each is the source of one", self.path)
        return {number: tuple(tuple(one.split()) for one in line.split("\t")) for number, line in lines.items()}


class Sentences:
    """The sentences file, cut into windows.

    Attributes:
        path: The file.
        sources: What is read while its words are decoded, where they are the words of a target.
        n_long: Sentences so far that are longer than the model's positions.
    """

    def __init__(self, path: Path) -> None:
        """Takes the file; InputError if there is none."""
        self.path = path
        self.sources: SourceTexts | None = None
        self.n_long = 0
        if not path.is_file():
            raise InputError("no such file; write it with `python -m probing_bridge.run sentences`", path)
        if next(self.words(), None) is None:
            raise InputError("holds no sentence", path)

    def words(self) -> Iterator[tuple[str, ...]]:
        """The words of each text, repeated ones too."""
        return (text.words for text in read_sentences(self.path))

    def blocks(self, segmenter: Segmenter, limit: int, writer: RepresentationWriter) -> Iterator[list[Sentence]]:
        """The different texts that a writer wants, in blocks of about BLOCK pieces."""
        block: dict[tuple[str, ...], Sentence] = {}
        pieces, sources = 0, self.sources.read(self.path) if self.sources else {}
        for text in read_sentences(self.path):
            if text.words in block or not writer.wants(text.words):
                continue
            block[text.words] = sentence = self._cut(text, sources.get(text.line), segmenter, limit)
            pieces += sentence.n_pieces
            if pieces >= BLOCK:
                yield list(block.values())
                block, pieces = {}, 0
        if block:
            yield list(block.values())

    def _cut(self, text: Text, sources: Sequence[Sequence[str]] | None, segmenter: Segmenter, limit: int) -> Sentence:
        windows, before = [], 0
        if self.sources and sources is not None and len(sources) != len(text.sentences):
            message = f"has {len(sources)} sentences, {self.path} {len(text.sentences)} in this line"
            raise InputError(message, str(self.sources.path), text.line)
        for number, own in enumerate(text.sentences):
            source: tuple[int, ...] = ()
            try:
                if self.sources:
                    read = sources[number] if sources else ()
                    source = self.sources.segmenter.sequence(read, self.sources.limit)
                cut = list(segmenter.windows(own, limit))
            except WordsError as error:
                raise InputError(str(error), self.path, text.line) from error
            self.n_long += len(cut) > 1
            windows += [replace(window, first=window.first + before, source=source) for window in cut]
            before += len(own)
        return Sentence(text.words, windows)


def write_encoded(
    texts: Sentences,
    output: Output,
    segmenter: Segmenter,
    encoder: Encoder,
    origin: Origin,
    model: str | Path,
    allow_unknown: bool,
) -> None:
    """Encodes the sentences of a file, in its order, each different one once, and says what it did.

    Args:
        texts: The file of words.
        output: The file of word representations, and how it is written.
        segmenter: Cuts words.
        encoder: Encodes pieces.
        origin: Where the vectors come from.
        model: What names the model in messages.
        allow_unknown: Take sentences of which the model knows fewer than half of the pieces.

    Raises:
        BridgeError: A sentence that cannot be used, or a value that cannot be stored; nothing is written then.
    """
    sentences = texts.path
    try:
        with RepresentationWriter(
            output.path, texts.words(), encoder.layers, encoder.dim, origin, output.dtype, output.shard
        ) as writer:
            for block in texts.blocks(segmenter, encoder.limit, writer):
                if segmenter.unknown > MOST_UNKNOWN and not allow_unknown:
                    reason = (
                        "words, tokenizer and BPE are not those of its training; --allow-unknown encodes all the same"
                    )
                    text = f"{segmenter.unknown:.1%} of the pieces are unknown to {model}: {reason}"
                    raise InputError(text, sentences)
                for sentence, array in zip(block, encoder.encode(block), strict=True):
                    if not np.isfinite(array).all():
                        raise BridgeError(f"{model}: computes values that are not finite (NaN or too large)")
                    writer.add(sentence.words, array)
            writer.origin = origin = replace(origin, unknown_pieces=segmenter.unknown)
    except OSError as error:
        raise InputError(f"cannot be written ({error})", output.path) from error
    if texts.n_long:
        logger.info("%d sentences are longer than the model's positions: overlapping windows", texts.n_long)
    unknown = 100 * segmenter.unknown
    logger.info("%s: %d sentences, %d pieces (%.2f %% unknown)", writer.path, len(writer), segmenter.n_pieces, unknown)
    if origin.unknown_warning:
        logger.warning("warning: %s: %s", sentences, origin.unknown_warning)
