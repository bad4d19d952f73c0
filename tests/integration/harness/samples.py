# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each operation once, on three nodes under a client: for every version the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

from . import gates
from .datacenter import Datacenter
from .killed import Moment, killed
from .losses import LOSSES, QUICK, heal, nothing_left, wipe
from .rollouts import no_request_fails, restart, restarted
from .scaling import scaled, wanted
from .scenarios import Living
from .settings import rng
from .workload import Workload, connect

# What a run says in its middle -> the most seconds to let it go on after that.
MIDDLES = {"heal": ("to take its place", 15.0), "scale": ("r1-1 to join", 15.0), "restore": ("import ", 1.0)}
# One of them dies there, and the next run finishes it.
KILLED = rng("operations/killed").choice(list(MIDDLES))


def may_die(datacenter: Datacenter, playbook: str, **extra: Any) -> None:
    """Start it and kill it in its middle, if it is its turn."""
    if playbook == KILLED:
        words, most = MIDDLES[playbook]
        run = datacenter.start(playbook, **extra)
        assert killed(run, Moment(words, rng("operations/middle").uniform(0, most))), run.output


@contextmanager
def at_work(three: Datacenter) -> Iterator[Workload]:
    """A client, once it has something to lose; what a node that stops did not take goes to another one."""
    with Workload(three, elsewhere=True) as client:
        fill(client)
        client.wait_for_rows(100)
        yield client


def fill(client: Workload) -> None:
    """A few MiB that cannot be compressed, so that the first backup is much larger than what each one adds."""
    session, random = client._session, rng("operations/fill")
    session.execute("CREATE TABLE workload.large (n int PRIMARY KEY, data blob)", timeout=120)
    write = session.prepare("INSERT INTO workload.large (n, data) VALUES (?, ?)")
    for number in range(150):
        session.execute(write, (number, random.randbytes(20_000)), timeout=60)


def restart_node_by_node(three: Datacenter, client: Workload) -> None:
    with no_request_fails(three, client) as watcher:
        assert sorted(restarted(restart(three, rollout_force=True), three)) == three.nodes
    assert watcher.made == dict.fromkeys(three.nodes, 1)
    assert restart(three).changed == 0


def meet_a_gate(three: Datacenter, client: Workload) -> None:
    with client.none_fails():
        gates.blocks(three, rng("operations/gate").choice(list(gates.GATES)))


def lose_a_volume(three: Datacenter, client: Workload) -> None:
    living, choose = Living.meet(three, client), rng("operations/lost")
    if KILLED != "heal":
        LOSSES["a volume is lost"](living, choose)
        return
    wipe(living, choose.choice(three.nodes))
    may_die(three, "heal", **QUICK)
    heal(living)
    client.check("ALL")
    nothing_left(living)


def one_node_more_and_away_again(three: Datacenter, client: Workload) -> None:
    four = wanted(three, {**three.racks, "r1": 2})
    told = three.run("scale", "--check", facts=True, scale_nodes="r1=2").ok().facts[three.host]["changes"]
    assert any("r1-1" in step for step in told), told
    with client.none_fails():
        may_die(four, "scale")
        scaled(four)
        assert four.run("scale").ok().changed == 0
        scaled(three, scale_delete_volumes=True)


def drop_a_table_and_restore_it(three: Datacenter, client: Workload) -> None:
    before = digests(three)
    three.run("backup", backup_name="restored").ok()
    with client.none_fails("ALL"):
        with connect(three) as driver:
            driver.connect().execute("DROP TABLE workload.large", timeout=120)
        wish: dict[str, Any] = {"restore_name": "restored", "restore_tables": "workload.large"}
        may_die(three, "restore", **wish)
        three.run("restore", **wish).ok()
    assert digests(three) == before


def digests(datacenter: Datacenter) -> dict[int, str]:
    """Number of each row of the large table -> digest of what it holds."""
    with connect(datacenter) as driver:
        rows = driver.connect().execute("SELECT n, data FROM workload.large", timeout=120)
        return {row.n: sha256(row.data).hexdigest() for row in rows}
