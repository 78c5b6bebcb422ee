"""The devices that a local model may run on: onnxruntime's execution providers, and how large batches each takes.

An accelerator is used by one process only, the daemon's: each process would load the model there again.
See https://onnxruntime.ai/docs/execution-providers/; CoreML was not tried.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Device:
    """A device by its name in the configuration.

    Attributes:
        provider: onnxruntime's name.
        batch_items: texts that run together. 1: each by itself, see `embedding.onnx`.
        remedy: what to install where onnxruntime lacks the provider.
    """

    name: str
    provider: str
    batch_items: int
    remedy: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_accelerator(self) -> bool:
        return self.name != CPU.name


CPU = Device("cpu", "CPUExecutionProvider", 1)
CUDA = Device(
    "cuda", "CUDAExecutionProvider", 64, "install `onnxruntime-gpu` instead of `onnxruntime`, and CUDA with cuDNN",
    {"arena_extend_strategy": "kSameAsRequested"},
)  # fmt: skip
COREML = Device("coreml", "CoreMLExecutionProvider", 32, "it exists on macOS only")
DEVICES = {device.name: device for device in (CPU, CUDA, COREML)}
_BY_ITSELF = (CUDA,)
"""Devices that `auto` takes. CoreML is often slower than the CPU on texts of many lengths, so it must be named."""


def choose_device(wanted: str, available: Sequence[str]) -> tuple[Device, str]:
    """Choose a device by what onnxruntime has.

    Args:
        wanted: a name in `DEVICES`, or `AUTO`.
        available: names of execution providers, as `onnxruntime.get_available_providers()` returns them.

    Returns:
        The device, and why it is not the one that was wanted; empty if it is.
    """
    if wanted == AUTO:
        return next((device for device in _BY_ITSELF if device.provider in available), CPU), ""
    device = DEVICES[wanted]
    if device.provider in available:
        return device, ""
    return CPU, f"onnxruntime has no {device.provider} here, so the model runs on the CPU; {device.remedy}."


def open_session(wanted: str, available: Sequence[str], make: Callable[[Device], Any]) -> tuple[Any, Device, str]:
    """Open a session on the wanted device, or on the CPU where that fails.

    Args:
        make: opens a session on a device; what it raises on the CPU is the caller's.

    Returns:
        The session, its device, and why that is not the wanted one.
    """
    device, reason = choose_device(wanted, available)
    if not device.is_accelerator:
        return make(CPU), CPU, reason
    try:
        session = make(device)
    except Exception as error:  # onnxruntime raises exceptions of its own, without a common base.
        said = (str(error).splitlines() or [type(error).__name__])[0]
    else:
        # Without a driver, onnxruntime only logs an error, and opens the session on the CPU.
        if device.provider in session.get_providers():
            return session, device, ""
        said = "it does not start; is its driver there?"
    return make(CPU), CPU, f"{device.provider} cannot be used, so the model runs on the CPU: {said}"


def in_batches(
    rows: Sequence[Sequence[int]], size: int, run: Callable[[Sequence[Sequence[int]]], Sequence[Any]]
) -> list[Any]:
    """Run rows of tokens in batches of rows of like length, and return the results in the order of the rows.

    A batch that fails is run again in halves: an accelerator's memory may not hold it.

    Args:
        run: returns a result for each row of a batch; what it raises for a single row is the caller's.
    """
    order = sorted(range(len(rows)), key=lambda row: -len(rows[row]))  # The largest first: it finds the bound at once.
    results: list[Any] = [None] * len(rows)
    at = 0
    while at < len(order):
        part = order[at : at + size]
        try:
            done = run([rows[row] for row in part])
        except Exception:
            if len(part) == 1:
                raise
            size = len(part) // 2
            continue
        for row, result in zip(part, done, strict=True):
            results[row] = result
        at += len(part)
    return results
