"""The probing tasks of Liu et al. (2019), one row each, features of treebanks, and how files become what a probe sees.

Metrics and patience are those of experiment_configs/ in their code (github.com/nelson-liu/contextual-repr-analysis),
the categories those of Movva & Zhao (2020, Section 4.1). A new task is one row here, and a module in `readers` if its
format is new.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from itertools import chain
from pathlib import Path

from probing_bridge.corpora.instances import Instance
from probing_bridge.corpora.readers import (
    arcs,
    ccgbank,
    columns,
    conll2003,
    conll2012,
    conllu,
    conllulex,
    conllx,
    json_files,
    sdp,
    trees,
)
from probing_bridge.corpora.readers.formats import BIOUL, FORMATS, formats_of_name
from probing_bridge.corpora.readers.source import Source, read_source
from probing_bridge.errors import BridgeError, InputError

Reader = Callable[[Source], Iterable[Instance]]


@dataclass(frozen=True)
class Task:
    """A probing task.

    Attributes:
        name: Its key.
        title: Its name in the papers.
        family: "token" (every word), "selective" (some words), "regression" (some words, a number) or "pairwise".
        readers: Format -> reader; the first is taken when a file's name does not tell the format.
        metric: What selects the epoch and is reported, a key of METRICS: accuracy, span_f1, f1_i or pearson.
        category: "POS", "syntactic" or "semantic", as in the paper; "morphological" of what it has not.
        citation: Where the task or its data come from.
        sample: Adds negative items to the instances of a file.
        batch_size: Instances per batch.
        patience: Epochs without a better development score.
    """

    name: str
    title: str
    family: str
    readers: Mapping[str, Reader]
    metric: str
    category: str
    citation: str
    sample: Callable[[Iterable[Instance]], Iterator[Instance]] | None = None
    batch_size: int = 80
    patience: int = 3

    @property
    def formats(self) -> tuple[str, ...]:
        """Keys of FORMATS, the default one first."""
        return tuple(self.readers)


POS, SYNTACTIC, SEMANTIC, MORPHOLOGICAL = "POS", "syntactic", "semantic", "morphological"
PTB, EWT, ONTONOTES = "Marcus et al. 1993", "Silveira et al. 2014", "Pradhan et al. 2012"
UD, SDP, STREUSLE = "Nivre et al. 2020", "Oepen et al. 2015", "Schneider et al. 2018"

_POS: dict[str, Reader] = {"conllx": conllx.read_pos, "conllu": conllu.read_pos}
_CCG: dict[str, Reader] = {"ccgbank": ccgbank.read_categories, "ccg-columns": columns.read_categories}
_NER: dict[str, Reader] = {"conll2003": conll2003.read_entities, BIOUL: conll2003.read_bioul_entities}
_UD: dict[str, Reader] = {"conllu": conllu.read_arcs}
_SDP: dict[str, Reader] = {"sdp": sdp.read_arcs}
_FUNCTION: dict[str, Reader] = {"streusle": json_files.read_functions, "conllulex": conllulex.read_functions}
_ROLE: dict[str, Reader] = {"streusle": json_files.read_roles, "conllulex": conllulex.read_roles}

# In the order of Movva & Zhao (2020), Fig. 1.
_ROWS = (
    Task("pos", "POS", "token", _POS, "accuracy", POS, f"{PTB}; {EWT}"),
    Task("ccg", "CCG", "token", _CCG, "accuracy", SYNTACTIC, "Hockenmaier & Steedman 2007"),
    Task("parent", "Parent", "token", {"trees": trees.read_parents}, "accuracy", SYNTACTIC, PTB),
    Task("gparent", "GParent", "token", {"trees": trees.read_grandparents}, "accuracy", SYNTACTIC, PTB),
    Task("ggparent", "GGParent", "token", {"trees": trees.read_great_grandparents}, "accuracy", SYNTACTIC, PTB),
    Task("chunk", "Chunk", "token", {"conll2000": columns.read_chunks}, "span_f1", SYNTACTIC,
         "Tjong Kim Sang & Buchholz 2000"),
    Task("ner", "NER", "token", _NER, "span_f1", SYNTACTIC, "Tjong Kim Sang & De Meulder 2003"),
    Task("ged", "GED", "token", {"fce": columns.read_errors}, "f1_i", SYNTACTIC, "Yannakoudakis et al. 2011",
         patience=10),
    Task("conj", "Conj", "token", {"conjuncts": columns.read_conjuncts}, "span_f1", SYNTACTIC,
         "Ficler & Goldberg 2016"),
    Task("syn_arc_prediction", "SynArcPred", "pairwise", _UD, "accuracy", SYNTACTIC, f"{PTB}; {EWT}",
         sample=arcs.sample_negatives),
    Task("syn_arc_classification", "SynArcClass", "pairwise", _UD, "accuracy", SYNTACTIC, f"{PTB}; {EWT}"),
    Task("st", "ST", "token", {"semtags": columns.read_semantic_tags}, "accuracy", SEMANTIC, "Bjerva et al. 2016"),
    Task("ps_fxn", "PS-Fxn", "selective", _FUNCTION, "accuracy", SEMANTIC, STREUSLE),
    Task("ps_role", "PS-Role", "selective", _ROLE, "accuracy", SEMANTIC, STREUSLE),
    Task("ef", "EF", "regression", {"it-happened": json_files.read_factuality}, "pearson", SEMANTIC,
         "Rudinger et al. 2018"),
    Task("sem_arc_prediction", "SemArcPred", "pairwise", _SDP, "accuracy", SEMANTIC, SDP,
         sample=arcs.sample_negatives),
    Task("sem_arc_classification", "SemArcClass", "pairwise", _SDP, "accuracy", SEMANTIC, SDP),
    Task("coref", "Coref", "pairwise", {"conll2012": conll2012.read_coreference}, "accuracy", SEMANTIC, ONTONOTES,
         batch_size=10),
)  # fmt: skip
PAPER_TASKS: dict[str, Task] = {task.name: task for task in _ROWS}

# Universal features (universaldependencies.org/u/feat), a task each: the value of the words that have the feature.
_UNIVERSAL = (
    "PronType NumType Poss Reflex Abbr Foreign Typo Gender Animacy NounClass Number Case Definite Deixis Degree "
    "VerbForm Mood Tense Aspect Voice Evident Polarity Person Polite Clusivity"
)
FEATURES: dict[str, str] = {f"feat_{name.lower()}": name for name in _UNIVERSAL.split()}
TASKS: dict[str, Task] = PAPER_TASKS | {
    task: Task(task, feature, "selective", {"conllu": partial(conllu.read_feature, feature=feature)}, "accuracy",
               MORPHOLOGICAL, UD)
    for task, feature in FEATURES.items()
}  # fmt: skip


def find_task(name: str) -> Task:
    """Looks up a task.

    Args:
        name: A key of TASKS.

    Returns:
        Its row.

    Raises:
        BridgeError: No such task; the nearest name is given.
    """
    if name in TASKS:
        return TASKS[name]
    near = get_close_matches(name, TASKS, 1)
    hint = f"do you mean {near[0]!r}?" if near else f"there are {', '.join(TASKS)}"
    raise BridgeError(f"unknown task {name!r}; {hint}")


def choose_format(task: Task, path: str | Path, format: str | None = None) -> str:
    """The format in which a file of a task is read: as asked for, as its name says, or the task's first.

    Args:
        task: The task.
        path: The file.
        format: What was asked for.

    Returns:
        A key of task.readers.

    Raises:
        InputError: The task is not read from that format.
    """
    reads = f"{task.name} is read from {', '.join(task.readers)}"
    if format is not None:
        if format not in task.readers:
            raise InputError(f"{reads}, not from {format!r}", path)
        return format
    named = formats_of_name(path)
    if not named:
        return next(iter(task.readers))
    fitting = [key for key in named if key in task.readers]
    if not fitting:
        titles = " or ".join(FORMATS[key].title for key in named)
        raise InputError(f"is {titles} by its name, but {reads}; if it is one of these, give --format", path)
    return fitting[0]


def read_instances(task: str, path: str | Path, *, compat: bool = False, format: str | None = None) -> list[Instance]:
    """Reads a file as a probe will see it.

    Args:
        task: A key of TASKS.
        path: Plain or gzip-compressed UTF-8 text.
        compat: Read as the code of Liu et al. (2019) does (`--compat liu2019`); docs/tasks.md lists the differences.
        format: A key of FORMATS, where the file's name does not tell it.

    Returns:
        The sentences in the order of the file, each with at least one item.

    Raises:
        InputError: A fault of the file, with its line.
        BridgeError: No such task.
    """
    return instances_of(task, read_source(path, choose_format(find_task(task), path, format), compat=compat))


def instances_of(task: str, source: Source) -> list[Instance]:
    """What a probe will see of a file that has been read; see read_instances."""
    row = find_task(task)
    found = source.once(row.readers[source.format])
    if row.sample is not None:
        found = list(row.sample(found))
    if not found:
        raise source.nothing("there is no word")
    return found


def label_vocabulary(*splits: Iterable[Instance]) -> tuple[str, ...]:
    """The labels in the order of their class numbers: most frequent first, then by first occurrence.

    That is the order of the `Vocabulary` of AllenNLP 0.7, with the labels of dev and test, as in the original.

    Args:
        splits: Train, dev and test, in this order; all of them count.

    Returns:
        Each label once; empty for a regression.
    """
    counts = Counter(chain.from_iterable(instance.labels for split in splits for instance in split))
    return tuple(label for label, _ in counts.most_common() if isinstance(label, str))
