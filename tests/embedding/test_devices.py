"""Devices of local models: chosen by onnxruntime's own list, with a reason for a fallback; batches keep the order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regend.embedding.devices import CPU, DEVICES, Device, choose_device, in_batches, open_session

CPU_ONLY = ["AzureExecutionProvider", "CPUExecutionProvider"]
WITH_CUDA = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
ON_A_MAC = ["CoreMLExecutionProvider", "CPUExecutionProvider"]


@pytest.mark.parametrize(
    ("wanted", "available", "device", "reason"),
    [
        ("auto", CPU_ONLY, "cpu", ""),
        ("auto", WITH_CUDA, "cuda", ""),
        ("auto", ON_A_MAC, "cpu", ""),
        ("cpu", WITH_CUDA, "cpu", ""),
        ("cuda", WITH_CUDA, "cuda", ""),
        (
            "cuda",
            CPU_ONLY,
            "cpu",
            "onnxruntime has no CUDAExecutionProvider here, so the model runs on the CPU; install",
        ),
        ("coreml", ON_A_MAC, "coreml", ""),
        ("coreml", WITH_CUDA, "cpu", "onnxruntime has no CoreMLExecutionProvider here"),
    ],
)
def test_a_device_is_chosen_by_what_there_is(wanted: str, available: list[str], device: str, reason: str) -> None:
    found, why = choose_device(wanted, available)
    assert found.name == device
    assert why.startswith(reason) and bool(why) == bool(reason)


def test_onnxruntime_has_the_names_of_the_providers() -> None:
    runtime = pytest.importorskip("onnxruntime")
    assert {device.provider for device in DEVICES.values()} <= set(runtime.get_all_providers())
    assert choose_device("auto", runtime.get_available_providers())[1] == ""


@dataclass
class Session:
    providers: list[str]

    def get_providers(self) -> list[str]:
        return self.providers


def test_a_device_that_does_not_start_leaves_the_cpu_and_a_reason() -> None:
    def silent(device: Device) -> Any:
        return Session([CPU.provider])

    def loud(device: Device) -> Any:
        if device.is_accelerator:
            raise RuntimeError("CUDA failure 35: no driver\nand a trace")
        return Session([CPU.provider])

    for make, said in ((silent, "it does not start; is its driver there?"), (loud, "CUDA failure 35: no driver")):
        session, device, reason = open_session("auto", WITH_CUDA, make)
        assert (session.providers, device) == ([CPU.provider], CPU)
        assert reason == f"CUDAExecutionProvider cannot be used, so the model runs on the CPU: {said}"
    with pytest.raises(RuntimeError):
        open_session("cuda", CPU_ONLY, lambda device: 1 / 0 if device.is_accelerator else loud(DEVICES["cuda"]))


def test_a_device_that_starts_is_used() -> None:
    session, device, reason = open_session("cuda", WITH_CUDA, lambda device: Session([device.provider, CPU.provider]))
    assert (session.providers[0], device.name, reason) == ("CUDAExecutionProvider", "cuda", "")


@given(st.lists(st.lists(st.integers(), max_size=30), max_size=40), st.integers(1, 12), st.integers(1, 60))
def test_results_keep_the_order_whatever_fits(rows: list[list[int]], size: int, room: int) -> None:
    """A batch that takes more than `room` tokens fails, as on an accelerator without the memory."""
    room = max(room, *(len(row) for row in rows)) if rows else room

    def run(part: Sequence[Sequence[int]]) -> list[int]:
        assert 1 <= len(part) <= size
        if len(part) * max(map(len, part)) > room:
            raise MemoryError
        return [sum(row) for row in part]

    assert in_batches(rows, size, run) == [sum(row) for row in rows]


def test_a_single_text_that_fails_is_the_callers() -> None:
    def run(part: Sequence[Sequence[int]]) -> list[int]:
        raise ValueError

    with pytest.raises(ValueError):
        in_batches([[1], [2]], 8, run)
