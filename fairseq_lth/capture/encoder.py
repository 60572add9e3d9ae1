"""What `python -m fairseq_lth.encode` does: fairseq's model, tokenizer and BPE for probing_bridge.capture.encoding."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from fairseq import checkpoint_utils, utils
from fairseq.data import Dictionary, encoders
from fairseq.data.data_utils import collate_tokens, infer_language_pair
from fairseq.dataclass.utils import gen_parser_from_dataclass
from fairseq.registry import REGISTRIES
from omegaconf import MISSING
from torch import Tensor

from fairseq_lth.capture.recorder import Recorder
from fairseq_lth.capture.words import DictionarySegmenter
from fairseq_lth.levels.checkpoints import origin_of, require_dictionary, require_loadable
from probing_bridge import __version__
from probing_bridge.capture.encoding import Encoder, Output, Sentences, SourceTexts, write_encoded
from probing_bridge.capture.windows import Window
from probing_bridge.errors import BridgeError
from probing_bridge.formats.files import file_hash


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
    texts = Sentences(arguments.sentences)
    checkpoint = require_loadable(arguments.path)
    origin = replace(
        origin_of(checkpoint, arguments.path),
        sentence_hash=file_hash(arguments.sentences),
        pooling=arguments.pooling,
        package_version=__version__,
    )
    model, task = _load(arguments, checkpoint)
    origin = replace(origin, source_lang=str(task.cfg.source_lang), target_lang=str(task.cfg.target_lang))
    segmenter = _segmenter(arguments, task, arguments.side)
    encoder = FairseqEncoder(model, task, arguments.side, arguments.pooling, arguments.max_tokens)
    if arguments.side == "target":
        origin = replace(origin, component="decoder")
        texts.sources = SourceTexts(arguments.source, _segmenter(arguments, task, "source"), encoder.source_limit)
    settings = Output(arguments.output, arguments.dtype, arguments.shard)
    write_encoded(texts, settings, segmenter, encoder, origin, arguments.path, arguments.allow_unknown)


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


def _segmenter(given: argparse.Namespace, task: Any, side: str) -> DictionarySegmenter:
    arguments = argparse.Namespace(**vars(given))
    arguments.source_lang = given.source_lang or task.cfg.source_lang
    arguments.target_lang = given.target_lang or task.cfg.target_lang
    if side == "target":  # fairseq's tokenizers cut by the rules of the source language
        arguments.source_lang = arguments.target_lang
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
    dictionary = {"source": task.source_dictionary, "target": task.target_dictionary}[side]
    return DictionarySegmenter(dictionary, tokenizer, bpe, arguments.bpe, is_decoded=side == "target")


class FairseqEncoder(Encoder):
    """The encoder of a fairseq model, or its decoder under teacher forcing; `limit` has EOS in it.

    Attributes:
        source_limit: The largest number of pieces that the encoder takes.
    """

    def __init__(self, model: Any, task: Any, side: str, pooling: str, max_tokens: int) -> None:
        """Takes a model.

        Args:
            model: A fairseq Transformer, in evaluation mode.
            task: Its task.
            side: source: the encoder; target: the decoder.
            pooling: How pieces become a word: mean, first or last.
            max_tokens: Pieces in a batch, padding included.

        Raises:
            RecorderError: Not a Transformer.
        """
        super().__init__(pooling, max_tokens)
        self._model = model
        self._recorder = Recorder(model)
        self._pad = task.source_dictionary.pad()
        self._left_pad = task.cfg.left_pad_source
        self._device = next(model.parameters()).device
        self._component = {"source": "encoder", "target": "decoder"}[side]
        states = self._recorder.states[self._component]
        self.layers, self.dim = list(states), next(iter(states.values()))
        most = dict(zip(("encoder", "decoder"), task.max_positions(), strict=True))
        limits = {name: min(int(getattr(model, name).max_positions()), int(most[name])) for name in most}
        self.limit, self.source_limit = limits[self._component], limits["encoder"]

    def run(self, windows: Sequence[Window]) -> dict[str, Tensor]:
        """See Encoder."""
        is_decoded = self._component == "decoder"
        read = [torch.tensor(window.source if is_decoded else window.ids) for window in windows]
        source = collate_tokens(read, self._pad, left_pad=self._left_pad).to(self._device)
        lengths = torch.tensor([len(one) for one in read], device=self._device)
        tokens = source
        if is_decoded:
            tokens = collate_tokens([torch.tensor(window.ids) for window in windows], self._pad).to(self._device)
        sentence, position = tokens.ne(self._pad).nonzero(as_tuple=True)
        places = position * len(windows) + sentence  # of real pieces in (n_positions, n_sentences), by sentence
        layers: dict[str, Tensor] = {}

        def keep(component: str, layer: str, states: Tensor) -> None:
            layers[layer] = states.reshape(-1, states.shape[-1]).index_select(0, places)

        with self._recorder.listen({self._component: self._recorder.states[self._component]}, {}, keep, keep):
            found = self._model.encoder(source, src_lengths=lengths)
            if is_decoded:
                self._model.decoder(tokens, encoder_out=found)
        return layers
