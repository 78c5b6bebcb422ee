"""A simulated machine around the pipeline: a disk that changes, a watcher that delays and loses hints, workers and an
embedder that fail and answer out of order, a store that survives crashes, and a clock that only the simulation moves.

It does not model partial file reads, clock jumps, or a store that loses data that it reported as durable.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable, Iterable

from regend.core import commands as cmd
from regend.core import events as ev
from regend.core.allowance import HOUR_S
from regend.core.batcher import BatchConfig
from regend.core.debouncer import DebounceConfig
from regend.core.heat import Key
from regend.core.pipeline import Pipeline, PipelineConfig
from regend.types import PoolId, RootId, StatSig
from tests.core.chaos import FLUSH_LIMIT_S, Chaos
from tests.core.path_states import Seen, WatchedPipeline
from tests.core.store_model import (
    BINARY,
    HUGE,
    MUTE_CHUNK,
    POISON,
    SECOND_TRACK,
    SKIPS,
    Content,
    Store,
    blob_of,
    chunked,
)


class World:
    """One seeded run. `step` does one random thing a user or a machine might do."""

    def __init__(self, seed: int, chaos: Chaos | None = None, watched: Iterable[Key] = ()) -> None:
        self.rng = random.Random(seed)
        self.chaos = chaos or Chaos()
        self.now = 0.0
        self.disk: dict[RootId, dict[str, Content]] = {}
        self.sigs: dict[tuple[RootId, str], StatSig] = {}
        self.gone: set[RootId] = set()
        self.history: dict[tuple[RootId, str], list[tuple[int, Content | None]]] = {}
        self._writes = 0  # Tells what came first where the clock did not move in between.
        self.store = Store()
        self.crashes = 0
        self._stamp = 0
        self._queue: list[tuple[float, int, int, Callable[[], None]]] = []
        self._order = 0
        self._life = 0
        self._last_hint_at = 0.0
        self._index_free_at = 0.0
        self._tickets: dict[int, tuple[float, int]] = {}
        self.lost_until: dict[RootId, float] = {}
        self.workers_at = 0.0
        self.luck = random.Random(f"workers {seed}")
        self.outages = 0
        self.scans: dict[int, RootId] = {}
        self.hung: dict[RootId, float] = {}
        self.noticed_at: dict[RootId, float] = {}
        self.told: set[RootId] = set()
        self.hang_ends_at = 0.0
        self.hangs = 0
        self._chunking: set[Key] = set()
        self.read_bytes = self.rng.choice((10, 1_000_000))
        self.hot_count = 0
        self.spent_count = 0
        self.resolved = 0
        self.config = PipelineConfig(
            debounce=DebounceConfig(0.04, 0.4, self.rng.choice((2, 5, 512)), 1.0),
            batch=BatchConfig(self.rng.choice((1, 3, 64)), 1000, 1000, 0.01),
            mode=self.luck.choice(("sequential", "parallel", "pipeline", "auto")),
            scan_slots=self.rng.choice((1, 2)),
            chunk_slots=self.rng.choice((1, 4)),
            embed_slots=self.rng.choice((1, 2)),
            embed_limit=self.rng.choice((2, 8, 1000)),
            texts_per_file_hour=random.Random(f"texts {seed}").choice((0, 1, 2)),
        )
        self.offers_upgrade = self.rng.random() < 0.5
        self.watched = tuple(watched)
        self.steps: Counter[Seen] = Counter()
        self.pipeline: Pipeline = WatchedPipeline(self.config, self.watched, self.steps)
        self._offer_upgrade()

    def _offer_upgrade(self) -> None:
        """A stronger model is found at some time after a start."""
        if self.offers_upgrade:
            offer = ev.TrackOffered(BatchConfig(self.rng.choice((1, 3)), 1000, 1000, 0.01), self.rng.choice((1, 2)))
            self.later(self.latency() * 5, lambda: self.send(offer))

    # -- the clock -------------------------------------------------------------------------------------------------

    def later(self, delay_s: float, action: Callable[[], None], survives: bool = False) -> float:
        """Run `action` after a delay; unless it survives, not if the daemon crashed in between."""
        at = self.now + delay_s
        life = -1 if survives else self._life
        heapq.heappush(self._queue, (at, self._order, life, action))
        self._order += 1
        return at

    def run(self, until: float) -> None:
        while True:
            at = self._queue[0][0] if self._queue else float("inf")
            tick_at = self.pipeline.next_deadline()
            if tick_at is not None and tick_at <= at:
                if tick_at > until:
                    break
                self.now = max(self.now, tick_at)
                self.send(ev.Tick())
                continue
            if at > until:
                break
            _, _, life, action = heapq.heappop(self._queue)
            self.now = max(self.now, at)
            if life in (-1, self._life):
                action()
        self.now = max(self.now, until) if until != float("inf") else self.now

    def settle(self) -> None:
        """Run until nothing is left to do, two hours at most: a file may have to wait for the end of its hour."""
        end, line = self.now + 2 * HOUR_S, self.pipeline
        while self.now < end and (
            self._queue or not line.is_idle(SECOND_TRACK) or line.hot_files() or line.spent_files()
        ):
            deadline = self.pipeline.next_deadline()
            times = [t for t in (deadline, self._queue[0][0] if self._queue else None) if t is not None]
            assert times, f"stuck: {self.pipeline.queues()}"
            self.run(min(times))

    def latency(self) -> float:
        return self.rng.random() ** 3 * self.chaos.latency_s

    def send(self, event: ev.Event) -> None:
        for command in self.pipeline.handle(event, self.now):
            self.carry_out(command)
        self.pipeline.check_invariants()
        self.hot_count = max(self.hot_count, len(self.pipeline.hot_files()))
        self.spent_count = max(self.spent_count, len(self.pipeline.spent_files()))

    # -- the disk --------------------------------------------------------------------------------------------------

    def add_root(self, root: RootId, pool: PoolId) -> None:
        self.disk[root] = {}
        self.store.trees[root] = {}
        self.store.pools[root] = pool
        self.store.blobs.setdefault(pool, {})
        self._serve(root)

    def _serve(self, root: RootId) -> None:
        pool = self.store.pools[root]
        self.send(ev.RootAdded(root, pool, dict(self.store.trees[root]), frozenset(self.store.blobs[pool])))

    def write(self, root: RootId, path: str, content: Content | None) -> None:
        if content is None:
            self.disk[root].pop(path, None)
        else:
            self.disk[root][path] = content
            self._stamp += 1
            self.sigs[root, path] = StatSig(self._stamp, self._stamp, len(content), 1)
        self._writes += 1
        self.history.setdefault((root, path), []).append((self._writes, content))

    def keep_changing(self, root: RootId, path: str, interval_s: float, until: float) -> None:
        """Write and hint one file again and again: new contents, known ones, some that crash a worker, or nothing."""
        if self.now < until:
            if root not in self.gone:
                line = f"line {self._writes}"
                self.write(root, path, self.rng.choice([(line,)] * 8 + [("one",), (HUGE,), (line, POISON), None]))
                self.hint(root, path)
            self.later(interval_s, lambda: self.keep_changing(root, path, interval_s, until), survives=True)

    def hint(self, root: RootId, path: str) -> None:
        """The watcher notices, later and in order; or the queue overflows."""
        if root in self.gone:
            return
        event: ev.Event = ev.PathChanged(root, path)
        if self.rng.random() < self.chaos.hint_lost:
            event = ev.RescanNeeded(root)
        at = max(self.now + self.latency() * 0.3, self._last_hint_at)
        self._last_hint_at = at
        self.later(at - self.now, lambda: self.send(event))

    def visible(self, root: RootId, scope: str) -> dict[str, Content]:
        return {p: c for p, c in self.disk[root].items() if scope in ("", p) or p.startswith(scope + "/")}

    # -- carrying out commands -------------------------------------------------------------------------------------

    def carry_out(self, command: cmd.Command) -> None:
        match command:
            case cmd.Observe():
                self._observe(command)
            case cmd.ChunkFile():
                key = command.root, command.path
                assert key not in self._chunking, f"two items of {key} are in flight"
                self._chunking.add(key)
                self.later(self.latency(), lambda: self._chunk(command))
            case cmd.Embed():
                self.later(self.latency(), lambda: self._embed(command))
            case cmd.Commit():
                self._in_index_thread(lambda: self._commit(command))
            case cmd.FetchUnembedded():
                self._in_index_thread(lambda: self.store.unembedded(command))
            case cmd.ResolveFlush():
                self._check_flush(command)

    def _in_index_thread(self, work: Callable[[], ev.Event]) -> None:
        """One thing after the other; each answer is on its way before the next thing begins."""
        start = max(self.now, self._index_free_at)
        done_at = start + self.latency()
        answered_at = self._index_free_at = done_at + self.latency() * 0.2

        def run() -> None:
            event = work()
            self.later(answered_at - self.now, lambda: self.send(event))

        self.later(done_at - self.now, run)

    def _observe(self, command: cmd.Observe) -> None:
        gone = command.root in self.gone
        self.scans[command.scan_id] = command.root
        scopes = list(command.scopes)
        self.rng.shuffle(scopes)
        delays = sorted(self.latency() for _ in range(len(scopes) + 1))
        seen: set[str] = set()
        broken = [gone]
        left = [len(scopes)]

        def look(scope: str, last: bool) -> None:
            if command.scan_id not in self.scans:
                return  # The root hangs, and the driver has answered.
            if command.root in self.hung or (last and left[0]):
                wait_s = self.hung.get(command.root, self.now) - self.now
                self.later(max(0.0, wait_s) + 1e-6, lambda: look(scope, last))
                return
            left[0] -= 1
            if last:
                del self.scans[command.scan_id]
            broken[0] |= command.root in self.gone
            files = []
            if not broken[0] and not last:
                for path, content in self.visible(command.root, scope).items():
                    if path not in seen:
                        seen.add(path)
                        files.append(self._observation(command, path, content))
            self.rng.shuffle(files)
            event = ev.Observed(command.scan_id, tuple(files), last, root_gone=last and broken[0])
            # Only the last part may say that the root is gone; parts before it may have been sent already.
            self.send(event)

        for scope, delay in zip(scopes, delays, strict=False):
            self.later(delay, lambda scope=scope: look(scope, False))
        self.later(delays[-1], lambda: look("", True))

    def _observation(self, command: cmd.Observe, path: str, content: Content) -> ev.Observation:
        sig = self.sigs[command.root, path]
        if command.known.get(path) == sig:
            return ev.Observation(path, sig, unchanged=True)
        if HUGE in content:
            return ev.Observation(path, sig, skip_reason=SKIPS[HUGE])
        return ev.Observation(path, sig, blob_of(content), size_bytes=self.read_bytes)

    def _chunk(self, command: cmd.ChunkFile) -> None:
        if self.now < self.workers_at:  # A file waits, however long that takes, and is to blame for nothing.
            self.later(self.workers_at - self.now + self.luck.random(), lambda: self._chunk(command))
            return
        root, path, version = command.root, command.path, command.version
        if root in self.hung and self.now < self.noticed_at[root]:
            until = min(self.hung[root], self.noticed_at[root])
            self.later(until - self.now + 1e-9, lambda: self._chunk(command))
            return
        content = self.disk[root].get(path) if root not in self.gone and root not in self.hung else None
        event: ev.Event
        if content is None or HUGE in content:
            event = ev.ChunkFailed(root, path, version, "gone", gone=True)
        elif POISON in content or (self.rng.random() < self.chaos.chunk_crash and not command.alone):
            event = ev.ChunkFailed(root, path, version, "crashed")
        else:
            event = ev.Chunked(root, path, version, chunked(content, self.sigs[root, path]))

        def answer() -> None:
            self._chunking.discard((root, path))
            self.send(event)

        self.later(self.latency(), answer)

    def _embed(self, command: cmd.Embed) -> None:
        if self.now < self.workers_at or self.rng.random() < self.chaos.embed_failure:
            self.send(ev.EmbedFailed(command.batch_id, "unavailable", 0.1, command.track))
            return
        failed = tuple((c, "rejected") for c in command.chunks if c == MUTE_CHUNK)
        rest = tuple(c for c in command.chunks if c != MUTE_CHUNK)
        if rest and self.rng.random() < self.chaos.embed_failure:
            unanswered = tuple(self.rng.sample(rest, self.rng.randint(1, len(rest))))
            self.send(ev.Embedded(command.batch_id, None, failed, unanswered, "went away", 0.1, track=command.track))
            return
        self.send(ev.Embedded(command.batch_id, None, failed, track=command.track))

    def _commit(self, command: cmd.Commit) -> ev.Event:
        if self.rng.random() < self.chaos.commit_failure:
            return ev.CommitFailed(command.commit_id, "disk full")
        return self.store.apply(command)

    # -- what a user does ------------------------------------------------------------------------------------------

    def crash(self) -> None:
        """`kill -9` and start again: only the store and the disk remain."""
        self.crashes += 1
        self._life += 1
        self._index_free_at = self.now
        self._tickets.clear()
        self._chunking.clear()
        self.scans.clear()
        self.pipeline = WatchedPipeline(self.config, self.watched, self.steps)
        self.store.forgone.clear()
        self._offer_upgrade()
        for root in self.store.trees:
            self._serve(root)
            if root in self.gone or root in self.hung:
                if root in self.hung:
                    self.told.add(root)
                    self.lost_until[root] = float("inf")
                self.send(ev.RootLost(root))

    def forget_blob(self) -> None:
        """The store collects a blob that no tree uses, which the pipeline still believes to be there."""
        for root, blobs in ((r, self.store.blobs[self.store.pools[r]]) for r in self.store.trees):
            pool = self.store.pools[root]
            used = {s.blob for r, t in self.store.trees.items() if self.store.pools[r] == pool for s in t.values()}
            free = [blob for blob in blobs if blob not in used]
            if free:
                del blobs[self.rng.choice(free)]
                return

    def flush(self, ticket: int, wait_vectors: bool) -> None:
        """Ask behind all hints that are on their way, as the cookie does."""
        asked_at, writes = self.now, self._writes
        delay = max(0.0, self._last_hint_at - self.now) + 1e-9  # Behind the last hint whatever the rounding.

        def ask() -> None:
            self._tickets[ticket] = asked_at, writes
            self.send(ev.FlushRequested(ticket, wait_vectors))

        self.later(delay, ask)

    def _check_flush(self, answer: cmd.ResolveFlush) -> None:
        """Nothing that was on disk when the flush was asked for may be missing, and nothing older may be left."""
        asked_at, writes = self._tickets.pop(answer.ticket)
        self.resolved += 1
        undisturbed = max(self.workers_at, self.hang_ends_at) < asked_at and all(
            until < asked_at for until in self.lost_until.values()
        )
        if undisturbed:
            assert self.now - asked_at <= FLUSH_LIMIT_S, f"flush {answer.ticket} took {self.now - asked_at:.1f} s"
        failed = {(root, path) for root, path, _ in answer.failed}
        for (root, path), changes in self.history.items():
            if self.lost_until.get(root, 0.0) >= asked_at:
                continue  # A lost root promises nothing until it was found and looked at again.
            if (root, path) in failed:
                continue  # The answer names it, and `check_converged` sees that it ends well.
            before = [content for number, content in changes if number <= writes]
            allowed = [before[-1] if before else None, *(content for number, content in changes if number > writes)]
            state = self.store.trees[root].get(path)
            reason = self.store.reasons.get((root, path))
            assert any(self._shows(state, reason, content) for content in allowed), (
                f"flush {answer.ticket} at {asked_at:.3f}: {path} is {state} {reason}, disk had {allowed}"
            )

    def _shows(self, state: ev.FileState | None, reason: str | None, content: Content | None) -> bool:
        if content is None or state is None:
            return content is None and state is None
        if HUGE in content:
            return reason == SKIPS[HUGE]
        if POISON in content:
            return reason == "quarantined: crashed" and state.blob == blob_of(content)
        if BINARY in content:
            return reason == SKIPS[BINARY]
        return reason is None and state.blob == blob_of(content)

    def check_converged(self) -> None:
        """The index equals one built from scratch from the disk as it is."""
        for root, files in self.disk.items():
            tree = self.store.trees[root]
            assert set(tree) == set(files), f"root {root}: {sorted(tree)} in the index, {sorted(files)} on disk"
            for path, content in files.items():
                assert self._shows(tree[path], self.store.reasons.get((root, path)), content), (root, path, content)
        lacking = {c.chunk for c in self.store.pending(self.store.live_chunks())}
        assert lacking <= {MUTE_CHUNK}, "chunks were left without a vector"
        if self.offers_upgrade:
            assert not self.store.pending(self.store.live_chunks(), SECOND_TRACK), "the stronger model is not through"
            assert self.store.forgone <= {MUTE_CHUNK}
        assert self.pipeline.is_idle(SECOND_TRACK), self.pipeline.queues()
        assert not self._tickets, "a flush was never answered"
        assert not self.pipeline.spent_files(), "a file waits for the end of its hour"
        if self.crashes == 0:
            assert self.store.embedded_twice == 0, "a chunk was embedded twice"
