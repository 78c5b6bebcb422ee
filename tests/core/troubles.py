"""Troubles of the simulated machine: no workers, roots that are away, file systems that do not answer."""

from __future__ import annotations

from regend.core import events as ev
from regend.types import RootId
from tests.core.world import World

LONGEST_WITHOUT_WORKERS_S = 20.0
LONGEST_HANG_S = 8.0
NOTICED_S = 1.5


def may_lose_workers(world: World) -> None:
    """No worker can be started for a while: for moments, or for longer than any other pause of the machine."""
    if world.luck.random() < world.chaos.no_workers:
        world.outages += 1
        world.workers_at = max(world.workers_at, world.now + world.luck.random() ** 2 * LONGEST_WITHOUT_WORKERS_S)


def lose_root(world: World, root: RootId) -> None:
    if root in world.hung:
        return
    world.gone.add(root)
    world.lost_until[root] = float("inf")
    world.later(world.latency(), lambda: world.send(ev.RootLost(root)))

    def back() -> None:
        world.gone.discard(root)
        world.later(0.3 + world.latency(), found, survives=True)

    def found() -> None:
        if root in world.gone:
            return  # Lost once more meanwhile; the later find counts.
        if root in world.hung:  # The watcher cannot look yet.
            world.later(world.hung[root] - world.now + 1e-9, found, survives=True)
            return
        world.lost_until[root] = world.now
        world.send(ev.RootFound(root))

    world.later(0.3 + world.latency(), back, survives=True)


def may_hang(world: World, root: RootId) -> None:
    """The root's file system does not answer for a while; the watcher notices if that lasts."""
    if root in world.hung or root in world.gone or world.luck.random() >= world.chaos.hang:
        return
    world.hangs += 1
    world.hung[root] = world.now + world.luck.random() * LONGEST_HANG_S
    world.noticed_at[root] = world.now + NOTICED_S + world.luck.random()
    world.hang_ends_at = max(world.hang_ends_at, world.hung[root])

    def notice() -> None:
        world.told.add(root)
        world.send(ev.RootLost(root))
        for scan_id in [scan_id for scan_id, own in world.scans.items() if own == root]:
            del world.scans[scan_id]
            world.send(ev.Observed(scan_id, (), True, root_gone=True))

    def back() -> None:
        del world.hung[root]
        if root in world.told:
            world.later(world.latency(), found, survives=True)

    def found() -> None:
        world.told.discard(root)
        if root in world.gone:
            return  # Lost meanwhile; the find after that counts.
        world.lost_until[root] = world.now
        world.send(ev.RootFound(root))

    if world.noticed_at[root] < world.hung[root]:
        world.lost_until[root] = float("inf")
        world.later(world.noticed_at[root] - world.now, notice)
    world.later(world.hung[root] - world.now, back, survives=True)
