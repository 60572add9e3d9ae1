"""Where the plugin lies, as `--user-dir` is told."""

from pathlib import Path

PLUGIN = str(Path(__file__).resolve().parents[2] / "fairseq_lth")
