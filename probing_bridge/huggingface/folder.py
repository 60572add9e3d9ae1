"""Opens the folder of a model: safetensors only, no code from the folder, eager attention.

Attention weights exist only where the model computes them by itself; the fused default gives none, in transformers
4.57 after a silent change of path and in 5.x as an empty tuple. So every model is loaded with the eager one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from probing_bridge.errors import BridgeError, InputError
from probing_bridge.formats.files import file_hash

CONFIG = "config.json"
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack")
NOT_USED = ("pooler.",)  # what encoding does not reach


def require_folder(folder: Path) -> None:
    """Refuses what is no model, or one that could not be opened without trusting whoever made it.

    Raises:
        InputError: No folder, no configuration, code of its own, or weights that are not safetensors.
    """
    if not (folder / CONFIG).is_file():
        raise InputError(f"is no folder of a Hugging Face model: it has no {CONFIG}", folder)
    for name in (CONFIG, "tokenizer_config.json"):
        if "auto_map" in _json(folder / name):
            raise InputError(
                "asks for code of its own (auto_map), which is never run; take a model that transformers has",
                folder / name,
            )
    if not weight_files(folder):
        pickled = sorted(path.name for pattern in PICKLED for path in folder.glob(pattern))
        if pickled:
            raise InputError(
                f"has its weights in {pickled[0]}, which is not read: it may hold code; save them as safetensors",
                folder,
            )
        raise InputError("has no weights (model.safetensors)", folder)


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"is no JSON ({error!s:.200})", path) from error
    if not isinstance(found, dict):
        raise InputError("is no JSON object", path)
    return found


def weight_files(folder: Path) -> list[Path]:
    """The files of a model's weights, in order."""
    return sorted(folder.glob("*.safetensors"))


def weights_hash(folder: Path) -> str:
    """Sha256 (hex) of the file of the weights; of several, over theirs."""
    hashes = [file_hash(path) for path in weight_files(folder)]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


@contextlib.contextmanager
def _told(folder: Path) -> Iterator[None]:
    """What transformers raises about a folder, in one line."""
    try:
        yield
    except BridgeError:
        raise
    except Exception as error:  # it has no errors of its own: OSError, KeyError, SafetensorError and more
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise InputError(f"cannot be opened by transformers ({reason})", folder) from error


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise BridgeError("models of Hugging Face need transformers: pip install 'fairseq-lth[hf]'") from error
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers


def kind_of(config: Any) -> str:
    """`encoder`, `decoder` or `encoder_decoder`.

    Args:
        config: The model's configuration.
    """
    if config.is_encoder_decoder:
        return "encoder_decoder"
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_MASKED_LM_MAPPING

    causal, masked = (type(config) in mapping for mapping in (MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_MASKED_LM_MAPPING))
    return "decoder" if getattr(config, "is_decoder", False) or (causal and not masked) else "encoder"


def open_config(folder: Path) -> Any:
    """The configuration of a model.

    Raises:
        InputError: See require_folder.
    """
    require_folder(folder)
    with _told(folder):
        return _transformers().AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def open_model(folder: Path, with_head: bool, cpu: bool = True) -> Any:
    """The model of a folder, in float32 and ready for inference.

    Args:
        folder: The folder.
        with_head: Also what turns states into scores of tokens, of a model with a decoder.
        cpu: Use the CPU even if there is a GPU.

    Raises:
        InputError: See require_folder; or weights that do not fit or are not all there.
    """
    config = open_config(folder)
    heads = {"encoder_decoder": "AutoModelForSeq2SeqLM", "decoder": "AutoModelForCausalLM"}
    name = heads.get(kind_of(config), "AutoModel") if with_head else "AutoModel"
    model = _loaded(folder, config, name, NOT_USED if name == "AutoModel" else ())
    return model.eval().to("cuda" if torch.cuda.is_available() and not cpu else "cpu")


def open_whole_model(folder: Path) -> Any:
    """The model of a folder with whatever heads it was saved with, in float32.

    Raises:
        InputError: See open_model.
    """
    config = open_config(folder)
    (name,) = (getattr(config, "architectures", None) or ["AutoModel"])[:1]
    if not hasattr(_transformers(), name):
        raise InputError(f"is a {name}, which transformers has not", folder)
    return _loaded(folder, config, name, ())


def _loaded(folder: Path, config: Any, name: str, not_used: tuple[str, ...]) -> Any:
    """A model by a class of transformers; weights whose names begin with one of `not_used` may be missing."""
    with _told(folder):
        model, found = getattr(_transformers(), name).from_pretrained(
            folder,
            config=config,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            attn_implementation="eager",
            dtype=torch.float32,
            output_loading_info=True,
        )
    sines = [f"{name}." for name, module in model.named_modules() if "Sinusoidal" in type(module).__name__]
    missing = sorted(key for key in found["missing_keys"] if not key.startswith((*not_used, *sines)))
    if missing:
        raise InputError(f"lacks {len(missing)} weights of the model ({', '.join(missing[:3])})", folder)
    return model


def open_tokenizer(folder: Path, config: Any, side: str, languages: dict[str, str]) -> Any:
    """The tokenizer of a folder, as it cuts the text of a side.

    Args:
        folder: The folder.
        config: The model's configuration.
        side: source or target.
        languages: Codes of the languages by side, for models of several; empty where they do not matter.

    Raises:
        InputError: No tokenizer, one that does not know a language, or one with more symbols than the model.
    """
    with _told(folder):
        tokenizer = _transformers().AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        for own, code in (("src_lang", languages["source"]), ("tgt_lang", languages["target"])):
            if code and hasattr(tokenizer, own):
                setattr(tokenizer, own, code)
        if side == "target":
            if getattr(tokenizer, "tgt_lang", "") is None:
                raise InputError("is a model of several languages: give --target-lang", folder)
            if config.model_type == "fsmt":  # it has a dictionary a side, and cuts by that of the source only
                tokenizer.encoder, tokenizer.src_lang = {v: k for k, v in tokenizer.decoder.items()}, tokenizer.tgt_lang
            elif hasattr(tokenizer, "_switch_to_target_mode"):
                tokenizer._switch_to_target_mode()
                tokenizer._switch_to_input_mode = tokenizer._switch_to_target_mode  # it would go back after each text
    most, symbols = n_symbols(config, side), len(tokenizer)
    if symbols > most:
        raise InputError(f"the tokenizer has {symbols} symbols, the model {most}: they are of two models", folder)
    return tokenizer


def n_symbols(config: Any, side: str) -> int:
    """Symbols that the model has embeddings of on a side."""
    own = {"source": "src_vocab_size", "target": "tgt_vocab_size"}[side]
    return int(getattr(config, own, None) or config.vocab_size)


def symbol(model: Any, name: str, folder: Path) -> int:
    """The id of a symbol that a model's configuration names.

    Raises:
        InputError: It names none.
    """
    found = getattr(model.config, name, None)
    found = found[0] if isinstance(found, list) else found
    if found is None:
        raise InputError(f"its configuration has no {name}: what does its decoder begin and end with?", folder)
    return int(found)
