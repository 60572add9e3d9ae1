"""Processes that share GPUs agree who is on which; the GPUs are made up."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from probing_bridge.probes.devices import CPU, held_place
from probing_bridge.probes.features import Features

GB = 10**9


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of 24 GB; what is free on each."""
    free = [24 * GB, 24 * GB]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(free))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda gpu: SimpleNamespace(uuid=f"GPU-{gpu}"))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free[device.index], 24 * GB))
    return free


def test_processes_are_spread_and_none_takes_more_than_its_share(tmp_path: Path, two_gpus: list[int]) -> None:
    with ExitStack() as stack:
        places = [stack.enter_context(held_place(tmp_path, 5)) for _ in range(5)]
    assert [place.device.index for place in places] == [0, 1, 0, 1, 0]
    assert {place.memory for place in places} == {42 * GB // 10}  # a third of 24, less a context's 1
    with held_place(tmp_path, 1) as alone:
        assert alone.memory == 138 * GB // 10
    two_gpus[0] = 2 * GB
    with held_place(tmp_path, 1) as beside_a_stranger:
        assert beside_a_stranger.memory == 12 * GB // 10
    with held_place(tmp_path, 64) as crowded:
        assert crowded.memory == 0


def test_who_finds_every_place_taken_waits(tmp_path: Path, two_gpus: list[int]) -> None:
    """As runs that do not know of each other, each with one process."""
    entered = threading.Event()

    def third() -> None:
        with held_place(tmp_path, 1) as place:
            assert place.device.index == 1
            entered.set()

    waiting = threading.Thread(target=third, daemon=True)
    with held_place(tmp_path, 1):
        with held_place(tmp_path, 1):
            waiting.start()
            assert not entered.wait(0.5)
        assert entered.wait(30)
    waiting.join(30)
    assert not list(tmp_path.rglob("*.lock"))


def test_without_a_gpu_nothing_is_locked(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with held_place(tmp_path, 16) as place:
        assert place is CPU and not any(tmp_path.iterdir())


def test_features_that_are_too_large_for_a_place_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    values = torch.zeros(2, 5, 3)
    moved: list[torch.device] = []
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, device: moved.append(device) or tensor)
    for memory, expected in (values.nbytes, 1), (values.nbytes - 1, 0):
        moved.clear()
        place = SimpleNamespace(device=torch.device("cuda", 1), memory=memory)
        assert Features(values, ("0", "1"), {}, place).device.index == 1 and len(moved) == expected
