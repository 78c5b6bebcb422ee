"""The pipeline step by step: each test tells one story of facts and the commands that must follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, TypeVar

from regend.core import commands as cmd
from regend.core import events as ev
from regend.core.batcher import BatchConfig
from regend.core.commits import COMMIT_PAUSE_S
from regend.core.debouncer import DebounceConfig
from regend.core.files import UNSURE_PAUSE_S
from regend.core.modes import Mode, Surroundings
from regend.core.pipeline import Pipeline, PipelineConfig
from regend.types import FIRST_TRACK, BlobId, ChunkId, PoolId, RootId, StatSig
from tests.core.store_model import blob_of, chunked, digest

R, S, POOL = RootId(1), RootId(2), PoolId(1)
SIG, LATER = StatSig(1, 1, 1, 1), StatSig(2, 2, 2, 2)
TEXT, OTHER = ("one", "two"), ("three",)
C = TypeVar("C", bound=cmd.Command)


def chunk_of(line: str) -> ChunkId:
    return ChunkId(digest("chunk " + line))


class Story:
    """A pipeline with one root whose first scan is answered, and the commands that came since."""

    def __init__(
        self,
        files: Mapping[str, ev.FileState] | None = None,
        blobs: frozenset[BlobId] = frozenset(),
        mode: Mode | Literal["auto"] = "pipeline",
        make: Callable[[PipelineConfig], Pipeline] = Pipeline,
        surroundings: Surroundings | None = None,
    ) -> None:
        config = PipelineConfig(
            debounce=DebounceConfig(1.0, 5.0, 10, 10.0), batch=BatchConfig(items=64, linger_s=0.5), mode=mode,
            surroundings=surroundings or Surroundings(),
        )  # fmt: skip
        self.pipeline = make(config)
        self.now = 0.0
        self.out: list[cmd.Command] = []
        files = files or {}
        self.tell(ev.RootAdded(R, POOL, files, blobs | {f.blob for f in files.values() if f.blob}))
        self.take(cmd.FetchUnembedded)
        self.tell(ev.UnembeddedFound((), exhausted=True))
        seen = tuple(
            ev.Observation(path, f.sig, f.blob, "too_large" if f.blob is None else "") for path, f in files.items()
        )
        self.observed(self.take(cmd.Observe), *seen)

    def tell(self, event: ev.Event) -> None:
        self.out += self.pipeline.handle(event, self.now)
        self.pipeline.check_invariants()

    def wait(self, until: float) -> None:
        while (deadline := self.pipeline.next_deadline()) is not None and deadline <= until:
            self.now = max(self.now, deadline)
            self.tell(ev.Tick())
        self.now = until

    def take(self, kind: type[C]) -> C:
        found = next((c for c in self.out if isinstance(c, kind)), None)
        assert found is not None, f"no {kind.__name__} in {self.out}"
        self.out.remove(found)
        return found

    def has(self, kind: type[cmd.Command]) -> bool:
        return any(isinstance(c, kind) for c in self.out)

    def observed(self, command: cmd.Observe, *files: ev.Observation, gone: bool = False) -> None:
        self.tell(ev.Observed(command.scan_id, files, last=True, root_gone=gone))

    def change(self, *paths: str) -> cmd.Observe:
        for path in paths:
            self.tell(ev.PathChanged(R, path))
        self.wait(self.now + 1.0)
        return self.take(cmd.Observe)

    def committed(self, *pending: str, missing: tuple[str, ...] = ()) -> cmd.Commit:
        commit = self.take(cmd.Commit)
        chunks = tuple(ev.PendingChunk(chunk_of(line), 3, 10) for line in pending)
        self.tell(ev.Committed(commit.commit_id, commit.commit_id + 1, chunks, tuple((R, path) for path in missing)))
        return commit


def test_a_new_file_from_hint_to_vectors() -> None:
    story = Story()
    observe = story.change("f")
    assert observe.scopes == ("f",) and observe.known == {}
    story.observed(observe, ev.Observation("f", SIG, blob_of(TEXT)))
    work = story.take(cmd.ChunkFile)
    assert (work.path, work.lane, work.alone) == ("f", cmd.Lane.EDIT, False)
    assert story.pipeline.pending(R) == 1
    story.tell(ev.Chunked(R, "f", work.version, chunked(TEXT, SIG)))
    assert story.committed("one", "two").ops == (cmd.PutFile(R, "f", SIG, blob_of(TEXT), chunked(TEXT, SIG)),)
    story.wait(story.now + 0.5)
    embed = story.take(cmd.Embed)
    assert embed.chunks == (chunk_of("one"), chunk_of("two"))
    assert not story.pipeline.is_idle()
    story.tell(ev.Embedded(embed.batch_id, "matrix"))
    assert story.committed().ops == (cmd.PutVectors(embed.chunks, "matrix"),)
    assert story.pipeline.is_idle()
    assert story.pipeline.generation == 2


def test_a_rename_chunks_and_embeds_nothing_and_deletes_last() -> None:
    story = Story({"old": ev.FileState(SIG, blob_of(TEXT))})
    observe = story.change("old", "new")
    assert observe.scopes == ("new", "old")
    story.observed(observe, ev.Observation("new", SIG, blob_of(TEXT)))
    assert story.committed().ops == (cmd.PutFile(R, "new", SIG, blob_of(TEXT), None), cmd.DeleteFile(R, "old"))
    assert story.pipeline.is_idle()


def test_a_delete_waits_for_what_replaces_it() -> None:
    story = Story({"old": ev.FileState(SIG, blob_of(TEXT))})
    story.observed(story.change("old", "new"), ev.Observation("new", SIG, blob_of(OTHER)))
    work = story.take(cmd.ChunkFile)
    assert not story.has(cmd.Commit)
    story.tell(ev.Chunked(R, "new", work.version, chunked(OTHER, SIG)))
    assert [type(op) for op in story.committed().ops] == [cmd.PutFile, cmd.DeleteFile]


def test_what_the_worker_read_counts_not_what_was_planned() -> None:
    story = Story()
    story.observed(story.change("f"), ev.Observation("f", SIG, blob_of(TEXT)))
    work = story.take(cmd.ChunkFile)
    story.tell(ev.Chunked(R, "f", work.version, chunked(OTHER, LATER)))
    assert story.committed().ops == (cmd.PutFile(R, "f", LATER, blob_of(OTHER), chunked(OTHER, LATER)),)


def test_an_older_result_is_dropped() -> None:
    story = Story(blobs=frozenset({blob_of(OTHER)}))
    story.observed(story.change("f"), ev.Observation("f", SIG, blob_of(TEXT)))
    work = story.take(cmd.ChunkFile)
    story.observed(story.change("f"), ev.Observation("f", LATER, blob_of(OTHER)))
    assert story.committed().ops == (cmd.PutFile(R, "f", LATER, blob_of(OTHER), None),)
    story.tell(ev.Chunked(R, "f", work.version, chunked(TEXT, SIG)))
    assert story.out == [] and story.pipeline.is_idle()


def test_an_older_result_of_a_file_that_is_gone_deletes_it_without_waiting_for_others() -> None:
    story = Story({"f": ev.FileState(SIG, blob_of(("before",)))})
    story.observed(story.change("f"), ev.Observation("f", SIG, blob_of(TEXT)))
    older = story.take(cmd.ChunkFile)
    story.observed(story.change("f", "g"), ev.Observation("g", SIG, blob_of(OTHER)))  # And no `f` any more.
    other = story.take(cmd.ChunkFile)
    assert not story.has(cmd.Commit), "the deletion waits for `g`"
    story.tell(ev.Chunked(R, "f", older.version, chunked(TEXT, SIG)))
    assert story.committed().ops == (cmd.DeleteFile(R, "f"),)
    story.tell(ev.Chunked(R, "g", other.version, chunked(OTHER, SIG)))
    assert [type(op) for op in story.committed().ops] == [cmd.PutFile]
    assert story.pipeline.is_idle()


def test_one_retry_alone_then_quarantine_until_the_file_is_written_again() -> None:
    story = Story()
    story.observed(story.change("f"), ev.Observation("f", SIG, blob_of(TEXT)))
    work = story.take(cmd.ChunkFile)
    story.tell(ev.ChunkFailed(R, "f", work.version, "crashed"))
    again = story.take(cmd.ChunkFile)
    assert again.alone
    story.tell(ev.ChunkFailed(R, "f", again.version, "crashed"))
    reason = "quarantined: crashed"
    assert story.committed().ops == (cmd.SkipFile(R, "f", SIG, blob_of(TEXT), reason),)
    assert story.pipeline.quarantined == {(R, "f"): reason}
    story.observed(story.change("f"), ev.Observation("f", SIG, blob_of(TEXT)))
    assert not story.has(cmd.ChunkFile)
    story.observed(story.change("f"), ev.Observation("f", LATER, blob_of(TEXT)))
    once = story.take(cmd.ChunkFile)
    assert once.alone, "what failed with this content gets one attempt"
    story.tell(ev.ChunkFailed(R, "f", once.version, "crashed"))
    assert story.committed().ops == (cmd.SkipFile(R, "f", LATER, blob_of(TEXT), reason),)
    assert story.pipeline.quarantined == {(R, "f"): reason}
    story.observed(story.change("f"), ev.Observation("f", LATER, blob_of(OTHER)))
    assert not story.take(cmd.ChunkFile).alone


def test_a_file_that_fails_with_another_content_than_was_seen_leaves_quarantine_with_the_next_write() -> None:
    """A scan sees one content, the worker that fails reads the next, and then the first one is back."""
    story = Story()
    story.observed(story.change("f"), ev.Observation("f", SIG, blob_of(TEXT)))
    for _ in range(2):
        story.tell(ev.ChunkFailed(R, "f", story.take(cmd.ChunkFile).version, "crashed"))
    story.committed()
    story.observed(story.change("f"), ev.Observation("f", LATER, blob_of(TEXT)))
    story.tell(ev.Chunked(R, "f", story.take(cmd.ChunkFile).version, chunked(TEXT, LATER)))
    story.committed()
    assert story.pipeline.quarantined == {}


def test_reindex_reads_skipped_files_again() -> None:
    story = Story({"f": ev.FileState(SIG, blob_of(TEXT), skipped=True)})
    story.tell(ev.RescanNeeded(R, rehash=True))
    observe = story.take(cmd.Observe)
    assert observe.known == {}
    story.observed(observe, ev.Observation("f", SIG, blob_of(TEXT)))
    assert story.take(cmd.ChunkFile).lane == cmd.Lane.EDIT


def test_a_file_that_vanished_before_the_worker_came_is_looked_at_again() -> None:
    story = Story({"f": ev.FileState(SIG, blob_of(OTHER))})
    story.observed(story.change("f"), ev.Observation("f", LATER, blob_of(TEXT)))
    work = story.take(cmd.ChunkFile)
    story.tell(ev.FlushRequested(1, wait_vectors=False))
    story.tell(ev.ChunkFailed(R, "f", work.version, "gone", gone=True))
    observe = story.take(cmd.Observe)
    assert not story.has(cmd.ResolveFlush)
    story.observed(observe)
    assert story.committed().ops == (cmd.DeleteFile(R, "f"),)
    assert story.take(cmd.ResolveFlush).ticket == 1


def test_a_flush_waits_for_words_and_vectors_a_sync_for_words_only() -> None:
    story = Story()
    story.tell(ev.PathChanged(R, "f"))
    story.tell(ev.FlushRequested(1, wait_vectors=True))
    story.tell(ev.FlushRequested(2, wait_vectors=False))
    story.observed(story.take(cmd.Observe), ev.Observation("f", SIG, blob_of(TEXT)))
    work = story.take(cmd.ChunkFile)
    story.tell(ev.Chunked(R, "f", work.version, chunked(TEXT, SIG)))
    assert not story.has(cmd.ResolveFlush)
    story.committed("one", "two")
    assert story.take(cmd.ResolveFlush) == cmd.ResolveFlush(2, 1, (), complete=False)
    embed = story.take(cmd.Embed)  # At once: a flush does not linger.
    story.tell(ev.Embedded(embed.batch_id, "matrix"))
    assert not story.has(cmd.ResolveFlush)
    story.committed()
    assert story.take(cmd.ResolveFlush) == cmd.ResolveFlush(1, 2, (), complete=True)


def test_an_abandoned_flush_is_forgotten() -> None:
    story = Story()
    story.tell(ev.PathChanged(R, "f"))
    story.tell(ev.FlushRequested(1, wait_vectors=True))
    story.tell(ev.FlushAbandoned(1))
    story.observed(story.take(cmd.Observe))
    assert story.out == []


def test_a_flush_answers_while_the_embedder_is_away() -> None:
    story = Story()
    story.observed(story.change("f"), ev.Observation("f", SIG, blob_of(TEXT)))
    story.tell(ev.Chunked(R, "f", story.take(cmd.ChunkFile).version, chunked(TEXT, SIG)))
    story.committed("one")
    story.tell(ev.FlushRequested(1, wait_vectors=True))
    embed = story.take(cmd.Embed)
    story.tell(ev.EmbedFailed(embed.batch_id, "refused", 5.0))
    assert story.take(cmd.ResolveFlush) == cmd.ResolveFlush(1, 1, (), complete=False)
    assert story.pipeline.embed_error(FIRST_TRACK) == "refused"
    story.wait(story.now + 4.9)
    assert not story.has(cmd.Embed)
    story.wait(story.now + 0.2)
    embed = story.take(cmd.Embed)
    story.tell(ev.Embedded(embed.batch_id, "none", ((chunk_of("one"), "too long"),)))
    assert story.pipeline.given_up(FIRST_TRACK) == {chunk_of("one"): "too long"}
    assert story.committed().ops == (cmd.PutVectors((), "none", forgone=(chunk_of("one"),)),)


def test_a_failed_commit_is_tried_again_after_a_pause() -> None:
    story = Story({"f": ev.FileState(SIG, blob_of(TEXT))})
    story.observed(story.change("f"))
    commit = story.take(cmd.Commit)
    story.tell(ev.CommitFailed(commit.commit_id, "disk full"))
    assert story.pipeline.commit_error == "disk full"
    assert story.pipeline.next_deadline() == story.now + COMMIT_PAUSE_S
    story.wait(story.now + COMMIT_PAUSE_S)
    assert story.committed().ops == commit.ops
    assert story.pipeline.commit_error == ""


def test_a_blob_that_the_store_lost_is_read_again() -> None:
    story = Story(blobs=frozenset({blob_of(TEXT)}))
    story.observed(story.change("f"), ev.Observation("f", SIG, blob_of(TEXT)))
    story.committed(missing=("f",))
    story.observed(story.take(cmd.Observe), ev.Observation("f", SIG, blob_of(TEXT)))
    assert story.take(cmd.ChunkFile).path == "f"


def test_a_lost_root_deletes_nothing_and_is_looked_at_when_found() -> None:
    story = Story({"f": ev.FileState(SIG, blob_of(TEXT))})
    observe = story.change("f")
    story.observed(observe, gone=True)
    assert story.pipeline.is_lost(R)
    story.tell(ev.RootLost(R))
    story.tell(ev.PathChanged(R, "f"))
    story.tell(ev.RescanNeeded(R))
    story.tell(ev.RootBusy(R, True))
    story.tell(ev.RootBusy(S, True))
    assert story.out == [] and story.pipeline.pending(R) == 0
    story.tell(ev.RootFound(R))
    story.observed(story.take(cmd.Observe), ev.Observation("f", SIG, unchanged=True))
    assert story.out == [] and not story.pipeline.is_lost(R)


def test_a_scan_that_began_before_the_root_was_found_says_nothing() -> None:
    story = Story({"f": ev.FileState(SIG, blob_of(TEXT))})
    late = story.change("f")
    story.tell(ev.RootFound(R))
    story.observed(story.take(cmd.Observe), ev.Observation("f", SIG, unchanged=True))
    story.observed(late, gone=True)
    assert not story.pipeline.is_lost(R)
    assert story.take(cmd.Observe).scopes == ("f",)


def test_answers_for_a_removed_root_are_dropped() -> None:
    story = Story({"g": ev.FileState(SIG, blob_of(TEXT))})
    observe = story.change("f", "g")
    story.observed(observe, ev.Observation("f", SIG, blob_of(OTHER)), ev.Observation("g", LATER, blob_of(TEXT)))
    work = story.take(cmd.ChunkFile)
    open_scan = story.change("f")
    story.tell(ev.RootRemoved(R))
    story.tell(ev.RootRemoved(R))
    story.tell(ev.RootFound(R))
    story.tell(ev.PathChanged(R, "f"))
    story.observed(open_scan, ev.Observation("f", SIG, blob_of(OTHER)))
    story.tell(ev.Chunked(R, "f", work.version, chunked(OTHER, SIG)))
    story.tell(ev.ChunkFailed(R, "f", work.version, "crashed"))
    story.committed(missing=("g",))
    assert story.out == [] and story.pipeline.is_idle()


def test_a_missing_blob_of_a_lost_root_waits_until_it_is_found() -> None:
    story = Story(blobs=frozenset({blob_of(TEXT)}))
    story.observed(story.change("f"), ev.Observation("f", SIG, blob_of(TEXT)))
    story.tell(ev.RootLost(R))
    story.committed(missing=("f",))
    assert story.out == []


def test_git_holds_changes_back() -> None:
    story = Story()
    story.tell(ev.RootBusy(R, True))
    story.tell(ev.PathChanged(R, "f"))
    story.wait(3.0)
    assert not story.has(cmd.Observe)
    story.tell(ev.RootBusy(R, False))
    assert story.take(cmd.Observe).scopes == ("f",)


def test_a_pause_collects_and_a_resume_takes_up() -> None:
    story = Story()
    story.tell(ev.PauseRequested(True))
    story.tell(ev.PathChanged(R, "f"))
    story.wait(9.0)
    assert story.out == [] and story.pipeline.next_deadline() is None
    story.tell(ev.PauseRequested(False))
    assert story.take(cmd.Observe).scopes == ("f",)


def test_an_unreadable_directory_keeps_its_files_and_is_tried_again() -> None:
    story = Story({"d/f": ev.FileState(SIG, blob_of(TEXT)), "g": ev.FileState(SIG, blob_of(TEXT))})
    story.tell(ev.RescanNeeded(R))
    story.wait(1.0)
    observe = story.take(cmd.Observe)
    seen = (ev.Observation("g", SIG, unchanged=True),)
    story.tell(ev.Observed(observe.scan_id, seen, last=True, unsure=(("d", "permission denied"),)))
    assert story.out == [] and story.pipeline.unsure(R) == {"d": "permission denied"}
    story.tell(ev.FlushRequested(1, wait_vectors=True))
    assert story.take(cmd.ResolveFlush) == cmd.ResolveFlush(1, 0, ((R, "d", "permission denied"),), complete=False)
    story.wait(story.now + UNSURE_PAUSE_S + 1.0)
    observe = story.take(cmd.Observe)
    assert observe.scopes == ("d",)
    story.observed(observe, ev.Observation("d/f", SIG, unchanged=True))
    assert story.pipeline.unsure(R) == {}


def test_an_unchanged_file_that_the_tree_has_moved_past_is_looked_at_again() -> None:
    story = Story({"f": ev.FileState(SIG, blob_of(TEXT))})
    hint = story.change("f")
    story.tell(ev.RescanNeeded(R))
    story.wait(story.now + 1.0)
    rescan = story.take(cmd.Observe)
    story.observed(hint, ev.Observation("f", LATER, blob_of(TEXT)))
    story.observed(rescan, ev.Observation("f", SIG, unchanged=True))
    assert story.take(cmd.Observe).scopes == ("f",)


def test_a_whole_scan_is_bulk_and_many_edits_turn_into_bulk() -> None:
    story = Story()
    story.tell(ev.CapacityChanged(200))
    files = tuple(ev.Observation(f"d/{n:03}", SIG, blob_of((str(n),))) for n in range(100))
    story.observed(story.change("d"), *files)
    lanes = [c.lane for c in story.out if isinstance(c, cmd.ChunkFile)]
    assert lanes.count(cmd.Lane.EDIT) == 64 and lanes.count(cmd.Lane.BULK) == 36
