"""Is this a fairseq the plugin works with? Said in one sentence before anything fails in the middle."""

from __future__ import annotations

import importlib.util


def require_tested_fairseq() -> None:
    """Checks that fairseq gives tasks the hooks that carry masks through a resume.

    Raises:
        ImportError: It is missing or too old, with what to install.
    """
    advice = "install ve-fairseq==0.12.3 (fairseq for Python 3.11 and 3.12): pip install ve-fairseq==0.12.3"
    if importlib.util.find_spec("fairseq") is None:
        raise ImportError(f"fairseq is not installed; {advice}")
    from fairseq import __version__, checkpoint_utils

    if "get_checkpoint_dict" not in checkpoint_utils.save_checkpoint.__code__.co_names:
        raise ImportError(f"fairseq {__version__} does not save the state of tasks, so masks would be lost; {advice}")
