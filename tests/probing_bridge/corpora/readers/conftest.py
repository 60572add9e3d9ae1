"""Reading a text as the file of a task."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from probing_bridge.corpora.tasks import read_instances
from probing_bridge.errors import InputError


@pytest.fixture(scope="session")
def corpora() -> ModuleType:
    """The small corpora, a module beside this file."""
    spec = importlib.util.spec_from_file_location("corpora", Path(__file__).with_name("corpora.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def read(tmp_path):
    """read(task, text, name="a.txt", compat=False, format=None) -> [(tokens, labels, indices)] with plain lists."""

    def read_text(task, text, name="a.txt", **options):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
        return [
            (" ".join(one.tokens), list(one.labels), None if one.indices is None else list(one.indices))
            for one in read_instances(task, path, **options)
        ]

    return read_text


@pytest.fixture
def fault(read):
    """fault(task, text, ...) -> the one-line message of the error, without the folder."""

    def message(*arguments, **options):
        with pytest.raises(InputError) as caught:
            read(*arguments, **options)
        text = str(caught.value)
        assert "\n" not in text
        return text[text.index(arguments[2] if len(arguments) > 2 else options.get("name", "a.txt")) :]

    return message
