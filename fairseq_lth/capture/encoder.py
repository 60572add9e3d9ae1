"""Words -> pieces -> the encoder -> one vector a word and layer: what `python -m fairseq_lth.encode` does.

Each line of the sentences is cut into windows that the model has positions for, windows are batched by length, and the
pieces of a word are pooled (capture.words); the layers come from the recorder.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fairseq import checkpoint_utils, utils
from fairseq.data import Dictionary, encoders
from fairseq.data.data_utils import collate_tokens, infer_language_pair
from fairseq.dataclass.utils import gen_parser_from_dataclass
from fairseq.registry import REGISTRIES
from omegaconf import MISSING
from torch import Tensor

from fairseq_lth.capture.recorder import Recorder
from fairseq_lth.capture.words import NO_WORD, Segmenter, Window, pool
from fairseq_lth.levels.checkpoints import origin_of, require_dictionary, require_loadable
from probing_bridge import __version__
from probing_bridge.errors import BridgeError, InputError
from probing_bridge.formats.files import file_hash
from probing_bridge.formats.representations import RepresentationWriter
from probing_bridge.formats.sentences import Text, read_sentences
from probing_bridge.formats.words import WordsError

logger = logging.getLogger("fairseq_lth.encode")
ENOUGH = 256  # pieces in a batch with which matrix products run at full rate
MOST_UNKNOWN = 0.5  # share of unknown pieces from which vectors say nothing of the words
BLOCK = 16384  # pieces that are sorted by length together, and whose vectors are held at once
_Placed = tuple[Window, np.ndarray]  # a window and the array of its sentence


def add_segmentation_flags(parser: argparse.ArgumentParser, chosen: Mapping[str, str | None]) -> None:
    """Declares the flags that fairseq's tokenizer and BPE have of their own; ends the program if there is no such one.

    Args:
        parser: The parser of the command.
        chosen: `tokenizer` and `bpe` -> their names, None where none is asked for.
    """
    for name, given in chosen.items():
        if given is None:
            continue
        if given not in REGISTRIES[name]["registry"]:
            known = ", ".join(sorted(REGISTRIES[name]["registry"]))
            parser.error(f"argument --{name}: fairseq has no {given!r} (choose from {known})")
        own = REGISTRIES[name]["dataclass_registry"].get(given)
        if own is not None:
            gen_parser_from_dataclass(parser, own())


def encode_file(arguments: argparse.Namespace) -> None:
    """Encodes the sentences of a file, in its order, each different one once.

    Args:
        arguments: The command line.

    Raises:
        BridgeError: A checkpoint, dictionary, BPE file or sentence that cannot be used; nothing is written then.
    """
    texts = _Sentences(arguments.sentences)
    checkpoint = require_loadable(arguments.path)
    origin = replace(
        origin_of(checkpoint, arguments.path),
        sentence_hash=file_hash(arguments.sentences),
        pooling=arguments.pooling,
        package_version=__version__,
    )
    model, task = _load(arguments, checkpoint)
    origin = replace(origin, source_lang=str(task.cfg.source_lang), target_lang=str(task.cfg.target_lang))
    segmenter = _segmenter(arguments, task)
    encoder = Encoder(model, task, arguments.pooling, arguments.max_tokens)
    try:
        given = (arguments.output, texts.words(), encoder.layers, encoder.dim, origin, arguments.dtype, arguments.shard)
        with RepresentationWriter(*given) as writer:
            for block in texts.blocks(segmenter, encoder.limit, writer):
                if segmenter.unknown > MOST_UNKNOWN and not arguments.allow_unknown:
                    reason = (
                        "words, tokenizer and BPE are not those of its training; --allow-unknown encodes all the same"
                    )
                    text = f"{segmenter.unknown:.1%} of the pieces are unknown to {arguments.path}: {reason}"
                    raise InputError(text, arguments.sentences)
                for sentence, array in zip(block, encoder.encode(block), strict=True):
                    if not np.isfinite(array).all():
                        raise BridgeError(f"{arguments.path}: computes values that are not finite (NaN or too large)")
                    writer.add(sentence.words, array)
            writer.origin = origin = replace(origin, unknown_pieces=segmenter.unknown)
    except OSError as error:
        raise InputError(f"cannot be written ({error})", arguments.output) from error
    if texts.n_long:
        logger.info("%d sentences are longer than the model's positions: overlapping windows", texts.n_long)
    logger.info(
        "%s: %d sentences, %d pieces (%.2f %% unknown)",
        writer.path,
        len(writer),
        segmenter.n_pieces,
        100 * segmenter.unknown,
    )
    if origin.unknown_warning:
        logger.warning("warning: %s: %s", arguments.sentences, origin.unknown_warning)


@dataclass(frozen=True)
class _Sentence:
    """A text of the file: its words, and the windows that are encoded for it."""

    words: tuple[str, ...]
    windows: list[Window]

    @property
    def n_pieces(self) -> int:
        return sum(len(window.ids) for window in self.windows)


class _Sentences:
    """The sentences file, cut into windows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.n_long = 0
        if not path.is_file():
            raise InputError("no such file; write it with `python -m probing_bridge.run sentences`", path)
        if next(self.words(), None) is None:
            raise InputError("holds no sentence", path)

    def words(self) -> Iterator[tuple[str, ...]]:
        """The words of each text, repeated ones too."""
        return (text.words for text in read_sentences(self._path))

    def blocks(self, segmenter: Segmenter, limit: int, writer: RepresentationWriter) -> Iterator[list[_Sentence]]:
        """The different texts that a writer wants, in blocks of about BLOCK pieces."""
        block: dict[tuple[str, ...], _Sentence] = {}
        pieces = 0
        for text in read_sentences(self._path):
            if text.words in block or not writer.wants(text.words):
                continue
            block[text.words] = sentence = self._cut(text, segmenter, limit)
            pieces += sentence.n_pieces
            if pieces >= BLOCK:
                yield list(block.values())
                block, pieces = {}, 0
        if block:
            yield list(block.values())

    def _cut(self, text: Text, segmenter: Segmenter, limit: int) -> _Sentence:
        windows, before = [], 0
        for own in text.sentences:
            try:
                cut = list(segmenter.windows(own, limit))
            except WordsError as error:
                raise InputError(str(error), self._path, text.line) from error
            self.n_long += len(cut) > 1
            windows += [replace(window, first=window.first + before) for window in cut]
            before += len(own)
        return _Sentence(text.words, windows)


def _load(arguments: argparse.Namespace, saved: dict[str, Any]) -> tuple[Any, Any]:
    """The model of a checkpoint that has been read, ready for inference, and its task."""
    task_cfg = saved["cfg"]["task"] if saved.get("cfg") is not None else vars(saved["args"])
    data = arguments.data or task_cfg["data"]
    folder = utils.split_paths(data)[0]
    try:
        source, target = task_cfg.get("source_lang"), task_cfg.get("target_lang")
        if source is None or target is None:  # then fairseq took them from the folder
            source, target = infer_language_pair(folder)
    except OSError:
        source = target = None
    if source is None or not all((Path(folder) / f"dict.{language}.txt").is_file() for language in (source, target)):
        raise BridgeError(f"{folder}: the dictionaries of the training are not there; give their folder with --data")
    require_dictionary(saved, Dictionary.load(str(Path(folder) / f"dict.{source}.txt")), folder)
    models, _, task = checkpoint_utils.load_model_ensemble_and_task([arguments.path], arg_overrides={"data": data})
    model = models[0].eval()
    if torch.cuda.is_available() and not arguments.cpu:
        model = model.cuda()
        model = model.half() if arguments.fp16 else model
    return model, task


def _segmenter(arguments: argparse.Namespace, task: Any) -> Segmenter:
    arguments.source_lang = arguments.source_lang or task.cfg.source_lang
    arguments.target_lang = arguments.target_lang or task.cfg.target_lang
    for name in ("tokenizer", "bpe"):
        own = REGISTRIES[name]["dataclass_registry"].get(getattr(arguments, name))
        for field in fields(own) if own is not None else ():
            if field.default == MISSING and getattr(arguments, field.name, None) in (None, MISSING):
                flag = field.name.replace("_", "-")
                raise BridgeError(f"--{name} {getattr(arguments, name)} needs --{flag}")
    try:
        tokenizer, bpe = encoders.build_tokenizer(arguments), encoders.build_bpe(arguments)
    except (OSError, ImportError, ValueError, RuntimeError) as error:
        raise BridgeError(f"--tokenizer {arguments.tokenizer} --bpe {arguments.bpe}: {error}") from error
    return Segmenter(task.source_dictionary, tokenizer, bpe, arguments.bpe)


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


class Encoder:
    """The encoder of a model, with pooling.

    Attributes:
        layers: Names of the layers, in the order of the arrays: 0, 1, .., and norm in pre-norm models.
        limit: The largest number of pieces it takes, EOS included.
    """

    def __init__(self, model: Any, task: Any, pooling: str, max_tokens: int) -> None:
        """Takes a model.

        Args:
            model: A fairseq Transformer, in evaluation mode.
            task: Its task.
            pooling: How pieces become a word: mean, first or last.
            max_tokens: Pieces in a batch, padding included.

        Raises:
            RecorderError: Not a Transformer.
        """
        self._model, self._pooling, self._max_tokens = model, pooling, max_tokens
        self._recorder = Recorder(model)
        self._pad = task.source_dictionary.pad()
        self._left_pad = task.cfg.left_pad_source
        self._device = next(model.parameters()).device
        self.layers = list(self._recorder.states["encoder"])
        self.dim = next(iter(self._recorder.states["encoder"].values()))
        self.limit = min(int(model.encoder.max_positions()), int(task.max_positions()[0]))

    def encode(self, sentences: Sequence[_Sentence]) -> list[np.ndarray]:
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
        ids = [torch.tensor(window.ids) for window in windows]
        tokens = collate_tokens(ids, self._pad, left_pad=self._left_pad).to(self._device)
        lengths = torch.tensor([len(one) for one in ids], device=self._device)
        # number the words of the batch through, and give every real piece, sentence by sentence, the number of its word
        counts = [max(window.owners) + 1 for window in windows]
        starts = np.concatenate(([0], np.cumsum(counts)))
        owners = np.concatenate([np.asarray(window.owners) for window in windows])
        owned = owners != NO_WORD
        numbers = (owners + np.repeat(starts[:-1], [len(one) for one in ids]))[owned]
        sentence, position = tokens.ne(self._pad).nonzero(as_tuple=True)
        places = (position * len(ids) + sentence)[torch.from_numpy(owned).to(self._device)]
        words = torch.from_numpy(numbers).to(self._device)
        layers: dict[str, Tensor] = {}

        def keep(component: str, layer: str, states: Tensor) -> None:
            rows = states.reshape(-1, states.shape[-1]).index_select(0, places).float()
            layers[layer] = pool(rows, words, int(starts[-1]), self._pooling)

        with self._recorder.listen({"encoder": self._recorder.states["encoder"]}, {}, keep, keep):
            self._model.encoder(tokens, src_lengths=lengths)
        vectors = torch.stack([layers[name] for name in self.layers]).cpu().numpy()  # (n_layers, n_words, d)
        return np.split(vectors, starts[1:-1], axis=1)
