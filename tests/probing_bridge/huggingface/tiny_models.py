"""Random tiny models of every family, saved as transformers saves them, with tokenizers made on the spot."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sentencepiece
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

TEXT = ["understanding words well known words understand", "it is what it was and is", "the dog barks , standing"] * 20
SIZES = {"d_model": 8, "encoder_layers": 2, "decoder_layers": 3, "encoder_attention_heads": 2}
SIZES |= {"decoder_attention_heads": 2, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "max_position_embeddings": 40}
FLAT = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}


def _save_fast(folder: Path, tokenizer: Tokenizer, **symbols: str) -> int:
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=40, **symbols)
    fast.save_pretrained(folder)
    return len(fast)


def word_piece(folder: Path) -> int:
    """BERT's: `##` inside a word, [CLS] and [SEP] around a sentence."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(TEXT, trainers.WordPieceTrainer(vocab_size=60, special_tokens=special))
    around = [("[CLS]", 2), ("[SEP]", 3)]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=around)
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return _save_fast(folder, tokenizer, mask_token="[MASK]", **names)


def byte_level(folder: Path, template: bool) -> int:
    """RoBERTa's with <s> and </s> around a sentence, GPT-2's with nothing: the space before a word is a mark."""
    special = ["<s>", "<pad>", "</s>"] if template else ["<|endoftext|>"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=special, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(TEXT, trainer)
    if not template:
        return _save_fast(folder, tokenizer, eos_token="<|endoftext|>")
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return _save_fast(folder, tokenizer, pad_token="<pad>", eos_token="</s>", bos_token="<s>")


def unigram(folder: Path) -> int:
    """T5's: `▁` before a word, </s> after a sentence."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    tokenizer.train_from_iterator(
        TEXT, trainers.UnigramTrainer(vocab_size=60, special_tokens=special, unk_token="<unk>")
    )
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return _save_fast(folder, tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")


def _sentencepiece(folder: Path, name: str, lines: list[str]) -> list[str]:
    """Trains folder/name; the pieces."""
    (folder / "text").write_text("\n".join(lines))
    prefix = folder / "trained"
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "text"), model_prefix=str(prefix), vocab_size=50, minloglevel=2, hard_vocab_limit=False
    )
    prefix.with_suffix(".model").rename(folder / name)
    (folder / "text").unlink()
    pieces = sentencepiece.SentencePieceProcessor(str(folder / name))
    return [pieces.id_to_piece(number) for number in range(pieces.vocab_size())]


def marian(folder: Path) -> int:
    """Marian's: two sentencepiece models, one dictionary, </s> after a sentence."""
    pieces = _sentencepiece(folder, "source.spm", TEXT)
    pieces += _sentencepiece(folder, "target.spm", [line.upper() for line in TEXT])
    symbols = list(dict.fromkeys(["</s>", "<unk>", *(piece for piece in pieces if piece != "<s>"), "<pad>"]))
    (folder / "vocab.json").write_text(json.dumps({symbol: number for number, symbol in enumerate(symbols)}))
    settings = {"tokenizer_class": "MarianTokenizer", "source_lang": "en", "target_lang": "de", "model_max_length": 40}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return len(symbols)


def m2m(folder: Path) -> int:
    """M2M100's: one sentencepiece model, the language before a sentence."""
    pieces = _sentencepiece(folder, "sentencepiece.bpe.model", [*TEXT, *(line.upper() for line in TEXT)])
    symbols = list(dict.fromkeys(["<s>", "<pad>", "</s>", "<unk>", *pieces]))
    (folder / "vocab.json").write_text(json.dumps({symbol: number for number, symbol in enumerate(symbols)}))
    settings = {"tokenizer_class": "M2M100Tokenizer", "src_lang": "en", "tgt_lang": "de", "model_max_length": 40}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    tokenizer = transformers.M2M100Tokenizer.from_pretrained(folder, src_lang="en", tgt_lang="de")
    return max(tokenizer.lang_token_to_id.values()) + 1  # behind the dictionary


def fsmt(folder: Path) -> int:
    """FSMT's: Moses and BPE with `</w>` at the end of a word, a dictionary a side."""
    letters = [*"abcdefghijklmnopqrstuvwxyz,", *(f"{letter}</w>" for letter in "abcdefghijklmnopqrstuvwxyz,")]
    own = ["wor", "words</w>", "un"]
    for name, order in (("vocab-src.json", 1), ("vocab-tgt.json", -1)):
        symbols = ["<s>", "<pad>", "</s>", "<unk>", *(letters + own)[::order]]
        (folder / name).write_text(json.dumps({symbol: number for number, symbol in enumerate(symbols)}))
    (folder / "merges.txt").write_text("w o 9\nwo r 8\nd s</w> 7\nwor ds</w> 6\nu n 5\n")
    settings = {"tokenizer_class": "FSMTTokenizer", "langs": ["en", "de"], "model_max_length": 40}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return len(letters) + len(own) + 4


def _bert(n: int) -> Any:
    return transformers.BertModel(transformers.BertConfig(vocab_size=n, max_position_embeddings=40, **FLAT))


def _roberta(n: int) -> Any:
    config = transformers.RobertaConfig(vocab_size=n, max_position_embeddings=42, pad_token_id=1, **FLAT)
    return transformers.RobertaForMaskedLM(config)


def _gpt2(n: int) -> Any:
    config = transformers.GPT2Config(vocab_size=n, n_positions=40, n_embd=8, n_layer=2, n_head=2, eos_token_id=0)
    return transformers.GPT2LMHeadModel(config)


def _t5(n: int) -> Any:
    sizes = {"d_model": 8, "d_kv": 4, "d_ff": 16, "num_layers": 2, "num_decoder_layers": 3, "num_heads": 2}
    config = transformers.T5Config(vocab_size=n, decoder_start_token_id=0, pad_token_id=0, eos_token_id=1, **sizes)
    return transformers.T5ForConditionalGeneration(config)


def _marian(n: int) -> Any:
    start = {"pad_token_id": n - 1, "decoder_start_token_id": n - 1, "eos_token_id": 0}
    return transformers.MarianMTModel(transformers.MarianConfig(vocab_size=n, **start, **SIZES))


def _m2m(n: int) -> Any:
    start = {"pad_token_id": 1, "decoder_start_token_id": 2, "eos_token_id": 2, "bos_token_id": 0}
    return transformers.M2M100ForConditionalGeneration(transformers.M2M100Config(vocab_size=n, **start, **SIZES))


def _fsmt(n: int) -> Any:
    own = {"langs": ["en", "de"], "src_vocab_size": n, "tgt_vocab_size": n, "tie_word_embeddings": False}
    config = transformers.FSMTConfig(decoder_start_token_id=2, **own, **SIZES)
    return transformers.FSMTForConditionalGeneration(config)


FAMILIES: dict[str, tuple[Callable[[Path], int], Callable[[int], Any]]] = {
    "bert": (word_piece, _bert),
    "roberta": (lambda folder: byte_level(folder, True), _roberta),
    "gpt2": (lambda folder: byte_level(folder, False), _gpt2),
    "t5": (unigram, _t5),
    "marian": (marian, _marian),
    "m2m": (m2m, _m2m),
    "fsmt": (fsmt, _fsmt),
}


def save(family: str, folder: Path) -> Path:
    """Saves a random model of a family and its tokenizer."""
    tokenizer, model = FAMILIES[family]
    folder.mkdir(parents=True)
    n_symbols = tokenizer(folder)
    torch.manual_seed(3)
    made = model(n_symbols)
    for weight in made.parameters():  # so that norms do something, too
        torch.nn.init.normal_(weight, std=0.3)
    made.save_pretrained(folder)
    return folder
