"""`fairseq-validate ... --dump-activations FILE.h5`: every layer of every token, and every head's attention.

The task asks an ActivationDump to plan the file when fairseq has made its batches, and to write what each validation
step computes. Batches come sorted by length; rows go to their place in corpus order, so the file does not depend on
the batching. Data flow: batch -> recorder.py -> rows without padding -> probing_bridge.formats.activations.reader.
"""

import atexit
import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fairseq_lth.capture.batch import Batch
from fairseq_lth.capture.output import listen_output, require_output
from fairseq_lth.capture.recorder import Recorder
from fairseq_lth.capture.word_attention import WordBorders
from fairseq_lth.errors import RunRefused, refusing
from fairseq_lth.levels.checkpoints import origin_of, require_dictionary, require_loadable
from fairseq_lth.training.experiment import check_data
from fairseq_lth.training.settings import RunSettings, TaskSettings
from probing_bridge import __version__
from probing_bridge.formats.activations.reader import (
    ActivationWriter,
    layer_order,
    shard_path,
)

logger = logging.getLogger(__name__)


class ActivationDump:
    """One dump: planned with the batches, opened at the first one, complete after the last.

    The task calls `batches` from get_batch_iterator and `record` around each validation step.
    """

    def __init__(self, task: Any, root: RunSettings) -> None:
        """Checks the flags and reads which level the checkpoint is.

        Args:
            task: The task, whose configuration has the fields of DumpConfig.
            root: fairseq's whole configuration.

        Raises:
            RunRefused: Several subsets, or a checkpoint that cannot be read.
        """
        cfg: TaskSettings = task.cfg
        self._cfg = cfg
        assert cfg.dump_activations is not None and root.common_eval.path is not None
        self._dictionaries = {"source": task.source_dictionary, "target": task.target_dictionary}
        self._path = Path(cfg.dump_activations)
        if "," in root.dataset.valid_subset:
            raise RunRefused(
                f"--valid-subset {root.dataset.valid_subset}: --dump-activations takes one, as a file holds one"
            )
        check_data(cfg, root.dataset.valid_subset)
        with refusing():
            checkpoint = require_loadable(root.common_eval.path)
            require_dictionary(checkpoint, task.source_dictionary, cfg.data)
            record = origin_of(checkpoint, root.common_eval.path)
        self._origin = replace(
            record,
            source_lang=str(cfg.source_lang),
            target_lang=str(cfg.target_lang),
            subset=root.dataset.valid_subset,
            package_version=__version__,
        )
        self._borders: dict[str, WordBorders] = {}
        self._words: dict[str, Sequence[int]] | None = None
        if str(cfg.dump_words) != "none":
            with refusing(f"--dump-words {cfg.dump_words}: "):
                self._borders = {
                    side: WordBorders(str(cfg.dump_words), one) for side, one in self._dictionaries.items()
                }
        self._recorder: Recorder | None = None
        self._writer: ActivationWriter | None = None
        self._is_done = False

    def batches(self, dataset: Any, make: Callable[..., Any], **settings: Any) -> Any:
        """Makes fairseq's batches and takes note of the sentences that will come to this process.

        Args:
            dataset: fairseq's language pair dataset.
            make: fairseq's get_batch_iterator.
            settings: Its arguments.

        Returns:
            fairseq's iterator.

        Raises:
            RunRefused: Sentences that are too long for the model or for `--max-tokens`; the dump would lack them.
        """
        longest = {"source": settings["max_positions"][0], "target": settings["max_positions"][1]}
        sizes = {"source": np.asarray(dataset.src_sizes), "target": np.asarray(dataset.tgt_sizes)}
        for side, limit in longest.items():
            limit = min(limit, settings["max_tokens"] or limit)
            if (sizes[side] > limit).any():
                number = int(np.argmax(sizes[side] > limit))
                raise RunRefused(
                    f"--dump-activations {self._path}: {side} sentence {number} has {sizes[side][number]} tokens, more "
                    f"than the {limit} of the model or --max-tokens; a dump leaves no sentence out: take it out of the "
                    "data or raise --max-tokens"
                )
        # ve-fairseq drops a last batch that is no multiple of --required-batch-size-multiple (8 unless told otherwise)
        iterator = make(dataset, **{**settings, "required_batch_size_multiple": 1})
        n_shards, shard = settings["num_shards"], settings["shard_id"]
        batches = iterator.frozen_batches
        if sum(len(batch) for batch in batches) != len(dataset):
            raise RunRefused(f"--dump-activations {self._path}: fairseq left sentences out of its batches")
        self._own = np.sort(np.array([number for batch in batches[shard::n_shards] for number in batch], np.int64))
        self._lengths = {side: lengths[self._own] for side, lengths in sizes.items()}
        if self._borders:
            pairs = (dataset[number] for number in self._own.tolist())
            counts = [[self._borders[side].count(pair[side]) for side in self._borders] for pair in pairs]
            self._words = dict(zip(self._borders, zip(*counts, strict=True), strict=True))
        if n_shards > 1:
            self._path = shard_path(self._path, shard, n_shards)
        self._is_shard = n_shards > 1
        return iterator

    @contextlib.contextmanager
    def record(self, model: Any, sample: dict[str, Any]) -> Iterator[None]:
        """Writes what the validation step inside the `with` block computes for a batch.

        Args:
            model: The model.
            sample: fairseq's batch; empty where a process has no more batches.

        Raises:
            RunRefused: A model that cannot be recorded, a value that cannot be stored, or a full disk.
        """
        with refusing():
            if self._is_done:  # this process has no more batches, but others do
                yield
                return
            recorder, writer = self._recorder, self._writer
            if recorder is None or writer is None:
                recorder, writer = self._open(model)
            try:
                if sample:
                    batch = Batch(sample, self._own, self._lengths, self._dictionaries["source"].pad(), self._borders)
                    batch.write_tokens(writer)
                    on_states = partial(batch.write_states, writer)
                    on_attention = partial(batch.write_attention, writer)
                    with (
                        recorder.listen(*self._wanted, on_states, on_attention),
                        self._listening_output(model, batch, writer),
                    ):
                        yield
                else:
                    yield
                if writer.is_whole:
                    self._close(writer)
            except BaseException:
                writer.abort()
                raise

    def _listening_output(
        self, model: Any, batch: Batch, writer: ActivationWriter
    ) -> contextlib.AbstractContextManager[None]:
        if not self._cfg.dump_output:
            return contextlib.nullcontext()
        return listen_output(model, partial(batch.write_output, writer, model, self._cfg.dump_output))

    def _open(self, model: Any) -> tuple[Recorder, ActivationWriter]:
        recorder = Recorder(model)
        both = self._cfg.dump_states == self._cfg.dump_attention
        states = self._chosen(recorder.states) if both or self._cfg.dump_states else {}
        attention = self._chosen(recorder.attention) if both or self._cfg.dump_attention else {}
        if self._cfg.dump_layers:
            known = {layer for layers in (*recorder.states.values(), *recorder.attention.values()) for layer in layers}
            unknown = [layer for layer in self._layers() if layer not in known]
            if unknown or not (states or attention):
                raise RunRefused(
                    f"--dump-layers {self._cfg.dump_layers}: the model has the layers "
                    f"{','.join(sorted(known, key=layer_order))}, and 0 and norm have no attention"
                )
        if self._cfg.dump_output:
            require_output(model, len(self._dictionaries["target"]), self._cfg.dump_output)
        symbols = {side: dictionary.symbols for side, dictionary in self._dictionaries.items()}
        writer = ActivationWriter(
            self._path,
            self._lengths,
            states,
            attention,
            symbols,
            {side: dictionary.count for side, dictionary in self._dictionaries.items()},
            self._origin,
            str(self._cfg.dump_dtype),
            self._own if self._is_shard else None,
            self._words,
            self._cfg.dump_output,
        )
        self._recorder, self._wanted = recorder, (states, attention)
        self._writer = writer.__enter__()
        atexit.register(writer.abort)  # whatever ends the process early, no half-written file stays
        return recorder, writer

    def _layers(self) -> list[str]:
        return [name.strip() for name in str(self._cfg.dump_layers).split(",")]

    def _chosen(self, available: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
        if not self._cfg.dump_layers:
            return available
        names = self._layers()
        chosen = {
            part: {layer: size for layer, size in layers.items() if layer in names}
            for part, layers in available.items()
        }
        return {part: layers for part, layers in chosen.items() if layers}

    def _close(self, writer: ActivationWriter) -> None:
        writer.__exit__(None, None, None)
        atexit.unregister(writer.abort)
        self._is_done = True
        size = self._path.stat().st_size / 1e6
        logger.info("wrote the activations of %d sentences to %s (%.1f MB)", len(self._own), self._path, size)
