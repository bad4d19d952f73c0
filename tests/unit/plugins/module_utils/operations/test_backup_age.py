# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from unit.plugins.module_utils.operations.rolling import Rolling
from unit.plugins.module_utils.operations.two import TwoDatacenters

from ansible_collections.cassops.kubernetes.plugins.module_utils.backups import COMPLETE, PARTIAL, Listed
from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import CassopsError
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import (
    catalogue,
    datacenter_decommission,
    repairing,
)

HOUR = 3600.0
BACKUP = {"repository": "s3:http://store/bucket", "password_secret": "backup-password"}
WAY = ". Make one with the playbook backup while there is a way back"
NONE = f"datacenter dc1: there is no complete backup of it, one of the last 24 hours is wanted{WAY}"

Stored = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> Stored:
    """Puts backups into the catalogue, each with the hours since it began; gives what it will be asked with."""
    asked: list[dict[str, Any]] = []

    def put(*backups: tuple[str, str, float], tables: tuple[str, ...] = ()) -> list[dict[str, Any]]:
        def opened(params: dict[str, Any], _kube: Any, _found: Any) -> Any:
            asked.append(params)
            return SimpleNamespace(
                listed=lambda _running, now: [
                    Listed(name, state, now - hours * HOUR, None, 3, tables=tables) for name, state, hours in backups
                ]
            )

        monkeypatch.setattr(catalogue, "opened", opened)
        return asked

    return put


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch) -> Rolling:
    """4.1, one node a rack, with 5.0 pending."""
    world = Rolling.deployed(monkeypatch, 1, version="4.1.10")
    world.deploy(version="5.0.9")
    return world


def warned(world: Rolling | TwoDatacenters) -> list[str]:
    return [text for text in world.warnings if text.startswith("datacenter dc1: ")]


@pytest.mark.parametrize(
    ("hours", "words"),
    [
        (23.0, ""),
        (30.0, "its newest complete backup, night, began 30.0 hours ago, one of the last 24 hours is wanted"),
    ],
)
def test_an_upgrade_warns_of_an_old_backup_and_goes_on(old: Rolling, stored: Stored, hours: float, words: str) -> None:
    stored(("night", COMPLETE, hours), ("later", PARTIAL, 1.0))
    expected = [f"datacenter dc1: {words}{WAY}"] if words else []
    old.roll(upgrade=True, check=True, backup=BACKUP)
    assert warned(old) == expected
    assert len(old.roll(upgrade=True, backup=BACKUP)["restarted"]) == 3
    assert warned(old) == expected
    assert [text for text in old.said if "complete backup" in text] == expected, "before the first node"


def test_a_backup_of_some_tables_is_none(old: Rolling, stored: Stored) -> None:
    stored(("orders", COMPLETE, 1.0), tables=("shop.orders",))
    old.roll(upgrade=True, check=True, backup=BACKUP)
    (told,) = warned(old)
    assert told.startswith("datacenter dc1: there is no complete backup of it, one of the last 24 hours is wanted")
    assert "orders (of shop.orders only)" in told


def test_a_step_without_a_way_back_warns_as_well(old: Rolling, stored: Stored) -> None:
    old.roll(upgrade=True)
    old.deploy(version="5.0.9", config={"storage_compatibility_mode": "UPGRADING"})
    stored()
    old.roll(upgrade=True, backup=BACKUP)
    assert warned(old) == [NONE]


def test_a_catalogue_that_cannot_be_read_hinders_nobody(old: Rolling) -> None:
    """The container with restic comes with the next restart, for one."""
    assert len(old.roll(upgrade=True, backup=BACKUP)["restarted"]) == 3
    (told,) = warned(old)
    assert told.startswith(
        "datacenter dc1: how old its newest backup is could not be read: no pod of datacenter dc1 of cluster shop"
    )


def test_nobody_asks_where_no_backups_are_made_or_nothing_is_upgraded(old: Rolling, stored: Stored) -> None:
    asked = stored()
    old.roll(upgrade=True)
    old.deploy(version="5.0.9", config={"concurrent_reads": 64})
    old.roll(backup=BACKUP)
    old.roll(upgrade=True, backup=BACKUP)
    assert asked == []


def test_a_datacenter_that_leaves_warns_before_it_is_begun(monkeypatch: pytest.MonkeyPatch, stored: Stored) -> None:
    monkeypatch.setattr(repairing, "wait_for", lambda done: done.exception(timeout=60))
    world = TwoDatacenters.made(monkeypatch)
    world.alter(dc1="3", dc2="2")
    world.kube.clock += 3600
    options: dict[str, Any] = {
        "confirm": "dc1",
        "peers": [{"datacenter": "dc2", "namespace": "far"}],
        "unreplicate": True,
        "option_prefix": "decommission_",
        "repair_timeout": 60,
        "backup": BACKUP,
    }
    stored()
    world.run(datacenter_decommission, check=True, **options)
    assert warned(world) == [NONE]
    leaving = datacenter_decommission.Decommission.give_up_logins

    def dies(_self: Any) -> None:
        raise CassopsError("killed")

    monkeypatch.setattr(datacenter_decommission.Decommission, "give_up_logins", dies)
    with pytest.raises(CassopsError, match="killed"):
        world.run(datacenter_decommission, **options)
    assert warned(world) == [NONE]
    monkeypatch.setattr(datacenter_decommission.Decommission, "give_up_logins", leaving)
    world.run(datacenter_decommission, **options)
    assert warned(world) == [], "there is nothing to be backed up any more"
