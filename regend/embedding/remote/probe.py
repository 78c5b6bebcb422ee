"""Find out with a few small requests what a server can do, and remember it by server and model.

Asked once: the form of requests it takes (base64, tasks), the length of its vectors, how many texts it takes at once
(by halving), whether their order is kept, and whether the same text gives the same vector.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
import numpy as np
import structlog

from regend.embedding.base import Matrix, unit_vectors
from regend.embedding.remote.dialects import Form
from regend.embedding.remote.endpoint import Endpoint
from regend.embedding.remote.fleet import AGREEMENT, PROBE_TEXT, PROBE_TOKENS, Fleet, agreement
from regend.errors import EmbeddingError, ProviderRejectedError

_SAME = 1e-4
_VERSION = 1
_FILLER_TOKENS = 4.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The findings about one server.

    Attributes:
        form: the form of requests that it takes.
        dim: length of its vectors.
        max_items: texts that it takes at once; 1 where it takes no batches, or mixes up their order.
        norm: length of a vector as it came, 1 where the server normalises.
        deterministic: the same text gave the same vector alone and in company.
        reference: vector of `PROBE_TEXT`, L2-normalised.
    """

    form: Form
    dim: int
    max_items: int
    norm: float
    deterministic: bool
    reference: tuple[float, ...]

    def vector(self) -> Matrix:
        """Return `reference` as float32 [dim]."""
        return np.asarray(self.reference, np.float32)


async def probe(fleet: Fleet, endpoint: Endpoint, forms: Sequence[Form], max_items: int) -> Capabilities:
    """Probe one server.

    Args:
        forms: to be tried in order until one is taken.
        max_items: more texts at once are not tried.

    Raises:
        ProviderUnavailableError: it does not answer.
        ProviderRejectedError: it takes no form, or its answers make no sense.
    """
    alone, form = await _first_form(fleet, endpoint, forms)
    reference = unit_vectors(alone[None], 1, len(alone), endpoint.who)[0]
    norm = float(np.linalg.norm(alone))
    taken, in_company = await _largest_batch(fleet, endpoint, form, max_items)
    if taken > 1 and agreement(in_company, alone) < AGREEMENT:
        log.warning("embedding_server_mixes_up_batches", server=endpoint.origin)
        taken = 1
    found = Capabilities(
        form=form,
        dim=len(alone),
        max_items=taken,
        norm=round(norm, 6),
        deterministic=taken == 1 or float(np.abs(in_company - alone).max()) < _SAME * norm,
        reference=tuple(reference.tolist()),
    )
    log.info(
        "embedding_server_probed",
        server=endpoint.origin,
        dim=found.dim,
        max_items=found.max_items,
        norm=found.norm,
        deterministic=found.deterministic,
        encoding=form.encoding,
        tasks=form.tasks,
    )
    return found


def forms(encoding: str, base64: bool, tasks: bool, dim: int) -> tuple[Form, ...]:
    """List the forms to try, richest first.

    Args:
        encoding: as configured, ``auto`` for the best one.
        base64: the dialect knows it.
        tasks: the server is thought to know tasks.
        dim: the length of vectors to ask for; 0 to ask for none.
    """
    encodings = ("base64", "float") if encoding == "auto" and base64 else ("float",)
    if encoding != "auto" and base64:
        encodings = (encoding,)
    known = (True, False) if tasks else (False,)
    return tuple(Form(name, task, dim) for task, name in itertools.product(known, encodings))


async def _first_form(fleet: Fleet, endpoint: Endpoint, tried: Sequence[Form]) -> tuple[Matrix, Form]:
    for form in tried:
        try:
            return (await fleet.ask_first(endpoint, [PROBE_TEXT], form, PROBE_TOKENS)).vectors[0], form
        except ProviderRejectedError:
            if form == tried[-1]:
                raise
    raise AssertionError("there is always a form to try")


async def _largest_batch(fleet: Fleet, endpoint: Endpoint, form: Form, most: int) -> tuple[int, Matrix]:
    """Find how many texts the server takes, and its vector of `PROBE_TEXT` as the last of them."""
    count = most
    while count > 1:
        texts = [*(f"x{number} = {number}" for number in range(count - 1)), PROBE_TEXT]
        try:
            answer = await fleet.ask_first(endpoint, texts, form, PROBE_TOKENS + _FILLER_TOKENS * (count - 1))
            return count, answer.vectors[-1]
        except ProviderRejectedError:
            count //= 2
    return 1, np.zeros(0, np.float32)


class ProbeCache:
    """The findings of probes in one small file; a damaged file counts as empty.

    Args:
        path: None: nothing is remembered.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def load(self, key: str) -> Capabilities | None:
        """Return the findings under a key, or None."""
        try:
            return msgspec.convert(self._tables().get(key), Capabilities)
        except msgspec.ValidationError:
            return None

    def save(self, key: str, found: Capabilities) -> None:
        """Remember the findings. If that fails, the server is asked again next time."""
        if self._path is None:
            return
        tables = self._tables() | {key: asdict(found)}
        beside = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            beside.write_text(json.dumps({"version": _VERSION, "probes": tables}))
            beside.chmod(0o600)
            beside.replace(self._path)
        except OSError as error:
            log.warning("probe_not_saved", path=str(self._path), reason=error.strerror)

    def _tables(self) -> dict[str, object]:
        if self._path is None:
            return {}
        try:
            content = json.loads(self._path.read_bytes())
            tables = content["probes"] if content["version"] == _VERSION else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}
        return tables if isinstance(tables, dict) else {}


def probe_key(urls: Sequence[str], model: str, *settings: object) -> str:
    """Make the name of a finding from the servers, the model, and all else that the answer depends on."""
    said = json.dumps([list(urls), model, *map(str, settings)])
    return hashlib.blake2b(said.encode(), digest_size=16).hexdigest()


async def probe_any(fleet: Fleet, tried: Sequence[Form], max_items: int) -> Capabilities:
    """Ask the servers in order until one answers; it is admitted, since the others are compared with it.

    Raises:
        EmbeddingError: no server answers; this is the last one's error.
    """
    last: EmbeddingError | None = None
    for endpoint in fleet.endpoints:
        try:
            found = await probe(fleet, endpoint, tried, max_items)
        except EmbeddingError as error:
            last = error
            continue
        fleet.reference, fleet.form = found.vector(), found.form
        fleet.compare(endpoint, fleet.reference)
        return found
    assert last is not None, "a fleet has servers"
    raise last
