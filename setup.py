"""Packages, dependencies and extras of fairseq_lth and probing_bridge."""

from setuptools import find_packages, setup

# What the plugin and the recipes need, and the bridge does not. ve-fairseq is fairseq 0.12.3 built for Python 3.11
# and 3.12; it imports as `fairseq`, and so does fairseq-fixed (docs/fairseq.md). The original fairseq 0.12.2 runs on
# neither and lacks the task hooks that carry masks through a resume.
TRAIN = [
    "ve-fairseq==0.12.3; python_version < '3.13'",
    "lxml>=5.0",
    "sacremoses>=0.1",
    "safetensors>=0.4",
    "sentencepiece>=0.2",
    "subword-nmt>=0.3.8",
]
BRIDGE = [
    "filelock>=4.0",
    "h5py>=3.10",
    "jinja2>=3.1",
    "joblib>=1.3",
    "matplotlib>=3.8",
    "numpy>=1.26",
    "pandas>=2.1",
    "PyYAML>=6.0",
    "sacrebleu>=2.4",
    "scipy>=1.11",
    "threadpoolctl>=3.2",
    "torch>=2.6",
    "tqdm>=4.66",
]
# Models of the Hugging Face kind: sentencepiece and sacremoses are what some of their tokenizers call.
HF = ["transformers>=4.57", "safetensors>=0.4", "sacremoses>=0.1", "sentencepiece>=0.2"]
SLURM = ["submitit>=1.5"]
# Asked for by name only: Levenshtein and python-Levenshtein are under the GPL (2 or later).
# jiant 2.2.0 pins versions that no longer install: `pip install --no-deps jiant==2.2.0` is the second step.
JIANT_RUNTIME = [
    "Levenshtein>=0.20",
    "nltk>=3.9",
    "python-Levenshtein>=0.20",
    "scikit-learn>=1.3",
    "seqeval>=1.2",
    "transformers>=4.16,!=4.20.1,<5",
]
TEST = ["hypothesis>=6.100", "pytest>=8.0", "pytest-xdist>=3.5"]
DEV = [
    *TEST,
    "conllu>=4.5",
    "import-linter>=2.0",
    "ipykernel>=6.29",
    "markdown-it-py>=3.0",
    "mypy>=1.10",
    "nbclient>=0.10",
    "nbformat>=5.10",
    "nltk>=3.9",
    "pandas-stubs",
    "playwright>=1.40",
    "psutil>=5.9",
    "ruff>=0.6",
    "scikit-learn>=1.3",
    "seqeval>=1.2",
    "tensorboardX>=2.6",
    "types-PyYAML",
    "types-tqdm",
]
FUZZ = ["atheris>=3.0"]

setup(
    name="fairseq-lth",
    version="0.1.0",
    description="Iterative magnitude pruning inside fairseq, and what it does to the model: probes and similarity",
    license="MIT",
    python_requires=">=3.11",
    packages=find_packages(include=["fairseq_lth", "fairseq_lth.*", "probing_bridge", "probing_bridge.*"]),
    package_data={
        "probing_bridge": ["py.typed"],
        "probing_bridge.report": ["*.j2", "*.css", "*.js"],
        "probing_bridge.results": ["exams.csv"],
        "fairseq_lth": ["py.typed", "hydra/*.yaml"],
    },
    install_requires=BRIDGE,
    entry_points={
        "console_scripts": [
            "fairseq-lth = fairseq_lth.__main__:main",
            "probing-bridge = probing_bridge.run:main",
        ],
    },
    extras_require={
        "train": TRAIN,
        "hf": HF,
        "slurm": SLURM,
        "jiant-runtime": JIANT_RUNTIME,
        "test": TEST,
        "dev": DEV + SLURM,
        "fuzz": FUZZ,
    },
)
