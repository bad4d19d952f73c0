# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import re
import time
from typing import Any, cast

import pytest
from unit.plugins.module_utils import views
from unit.plugins.module_utils.fake_cassandra import LOOPBACK, FakeCassandra, Member, Role

from ansible_collections.cassops.kubernetes.plugins.module_utils import cql, spec, spec_parser
from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import CassopsError
from ansible_collections.cassops.kubernetes.plugins.module_utils.kube import Kube
from ansible_collections.cassops.kubernetes.plugins.module_utils.kubeapi import Conflict
from ansible_collections.cassops.kubernetes.plugins.module_utils.observe import Credentials
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import superuser

NONE = cast(Kube, None)
DOORKEEPER = "shop-dc1-r1-0"
WANTED = Credentials("shop-superuser", 'it\'s a "secret"')
REPLICATION = {"dc1": 3}
KEYSPACES = ("system_auth", "system_distributed", "system_traces")


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(superuser, "LIMIT", 0.5)


class Died(BaseException):
    """The run ends here."""


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> FakeCassandra:
    """A new ring of three nodes; the doorkeeper lets in who comes through its loopback."""
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    fake = FakeCassandra().install(monkeypatch)
    listed = views.nodes()
    for node, member in zip(listed, views.endpoints(listed).values(), strict=True):
        fake.join(node.pod, Member(member.address, member.rack, member.host_id, member.tokens), "off")
    fake.doors[DOORKEEPER] = LOOPBACK
    return fake


def changed(fake: FakeCassandra) -> list[str]:
    """The statements that are not reads, without what is secret in them."""
    writes = [text for text in fake.statements if not text.startswith("SELECT")]
    return [re.sub(r"PASSWORD = '(?:[^']|'')*'", "PASSWORD = '...'", text) for text in writes]


def stands(fake: FakeCassandra, wanted: Credentials = WANTED) -> bool:
    role = fake.roles.get(wanted.username)
    replicated = {"class": "org.apache.cassandra.locator.NetworkTopologyStrategy", "dc1": "3"}
    return (
        role == Role(wanted.password, login=True, superuser=True)
        and not fake.default_login_works
        and all(fake.replication[name] == replicated for name in KEYSPACES)
    )


# --- establish --------------------------------------------------------------------------------------------------------


def test_the_superuser_stands_and_the_default_login_is_closed(ring: FakeCassandra) -> None:
    superuser.establish(NONE, DOORKEEPER, WANTED, REPLICATION)
    assert stands(ring)
    assert ring.roles["cassandra"].login is False
    assert ring.roles["cassandra"].superuser is False
    assert ring.roles["cassandra"].password != "cassandra"


def test_the_order_of_the_statements(ring: FakeCassandra) -> None:
    """The logins' own keyspace comes last of the three, and the default login closes only when all nodes know of it."""
    superuser.establish(NONE, DOORKEEPER, WANTED, REPLICATION)
    assert [text.split(" WITH")[0] for text in changed(ring)] == [
        'CREATE ROLE "shop-superuser"',
        "ALTER KEYSPACE system_distributed",
        "ALTER KEYSPACE system_traces",
        "ALTER KEYSPACE system_auth",
        "ALTER ROLE cassandra",
    ]


def test_logins_are_brought_to_all_replicas_after_they_were_changed(ring: FakeCassandra) -> None:
    superuser.establish(NONE, DOORKEEPER, WANTED, REPLICATION)
    reads = ["SELECT * FROM system_auth.roles", "SELECT * FROM system_auth.role_members"]
    last_change = max(number for number, text in enumerate(ring.statements) if not text.startswith("SELECT"))
    assert set(reads) <= set(ring.statements[last_change:])


def test_whether_the_default_login_is_open_is_asked_when_all_replicas_have_its_row(ring: FakeCassandra) -> None:
    superuser.establish(NONE, DOORKEEPER, WANTED, REPLICATION)
    asked = next(number for number, text in enumerate(ring.statements) if text.startswith("SELECT can_login"))
    moved = max(number for number, text in enumerate(ring.statements) if text.startswith("ALTER KEYSPACE"))
    assert "SELECT * FROM system_auth.roles" in ring.statements[moved:asked]


def test_a_node_that_does_not_know_the_replicas_is_not_opened(ring: FakeCassandra) -> None:
    """It would ask replicas that never heard that the default login is closed."""
    ring.agrees = False
    with pytest.raises(CassopsError, match="not all nodes know where logins are kept now"):
        superuser.establish(NONE, DOORKEEPER, WANTED, REPLICATION)


def test_a_node_of_another_datacenter_that_is_down_is_not_in_the_way(ring: FakeCassandra) -> None:
    ring.agrees = False
    ring.join("far", Member("198.19.0.9", "r1", "far", (1,), datacenter="dc2"))
    superuser.establish(NONE, DOORKEEPER, WANTED, {**REPLICATION, "dc2": 1})
    assert not ring.default_login_works


def test_a_second_time_changes_nothing(ring: FakeCassandra) -> None:
    superuser.establish(NONE, DOORKEEPER, WANTED, REPLICATION)
    ring.statements.clear()
    before = dict(ring.roles)
    superuser.establish(NONE, DOORKEEPER, WANTED, REPLICATION)
    # 5.0 refuses to change the password of a role, the closed default one too, twice in five seconds.
    assert changed(ring) == []
    assert before == ring.roles
    assert stands(ring)


@pytest.mark.parametrize("step", range(5))
@pytest.mark.parametrize("applied", [False, True])
def test_a_run_that_died_at_any_step_is_finished_by_the_next(ring: FakeCassandra, step: int, applied: bool) -> None:
    """It dies before the statement, or after the node took it and before the answer came."""
    left = [step]

    def die(_what: str = "") -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Died

    if applied:
        ring.after_change = die
    else:
        ring.before_change = die
    with pytest.raises(Died):
        superuser.establish(NONE, DOORKEEPER, WANTED, REPLICATION)
    ring.before_change, ring.after_change = (lambda what: None), (lambda: None)
    superuser.establish(NONE, DOORKEEPER, WANTED, REPLICATION)
    assert stands(ring)


@pytest.mark.parametrize("replicas", [2, 3])
@pytest.mark.parametrize("step", [None, 0, 1, 2, 3, 4, 5])
def test_where_one_replica_has_the_logins_they_are_found_all_the_while(
    ring: FakeCassandra, replicas: int, step: int | None
) -> None:
    """Cassandra 4.0 begins with one, and its superuser, but for the default one, is read from one as well."""
    ring.version, ring.logins_on = "4.0.19", 1
    ring.replication["system_auth"]["replication_factor"] = "1"
    left = [step]

    def die(_what: str) -> None:
        if left[0] is not None:
            left[0] -= 1
            if left[0] < 0:
                raise Died

    ring.before_change = die
    try:
        superuser.establish(NONE, DOORKEEPER, WANTED, {"dc1": replicas})
        assert step in (None, 5)
    except Died:
        left[0] = None
        superuser.establish(NONE, DOORKEEPER, WANTED, {"dc1": replicas})
    assert ring.roles[WANTED.username].superuser
    assert not ring.default_login_works
    assert ring.replication["system_auth"]["dc1"] == str(replicas)


def test_five_steps_are_all(ring: FakeCassandra) -> None:
    """Else the test above would not see the others."""
    superuser.establish(NONE, DOORKEEPER, WANTED, REPLICATION)
    assert len(changed(ring)) == 5


def test_a_secret_that_was_made_anew_after_a_run_died(ring: FakeCassandra) -> None:
    """The role has the first Secret's password; the default login is still open and gives it the new one."""
    ring.roles["shop-superuser"] = Role("the first one")
    superuser.establish(NONE, DOORKEEPER, WANTED, REPLICATION)
    assert stands(ring)


def test_nobody_can_log_in(ring: FakeCassandra) -> None:
    ring.roles = {"cassandra": Role("other"), "shop-superuser": Role("another")}
    with pytest.raises(CassopsError, match="put them into the Secret"):
        superuser.establish(NONE, DOORKEEPER, WANTED, REPLICATION)


def test_a_superuser_that_is_called_cassandra(ring: FakeCassandra) -> None:
    """Nobody may change whether the own role is a superuser, so only the password changes."""
    wanted = Credentials("cassandra", "another")
    superuser.establish(NONE, DOORKEEPER, wanted, REPLICATION)
    assert changed(ring)[0] == "ALTER ROLE \"cassandra\" WITH PASSWORD = '...'"
    assert stands(ring, wanted)
    superuser.establish(NONE, DOORKEEPER, wanted, REPLICATION)
    assert stands(ring, wanted)


def test_the_default_login_itself_is_refused_as_superuser(ring: FakeCassandra) -> None:
    with pytest.raises(CassopsError, match="still takes the default login"):
        superuser.establish(NONE, DOORKEEPER, superuser.DEFAULT, REPLICATION)


def test_a_cluster_without_the_default_role(ring: FakeCassandra) -> None:
    """Its owner dropped it before; it is not made again only to be closed."""
    del ring.roles["cassandra"]
    ring.roles["shop-superuser"] = Role(WANTED.password)
    superuser.establish(NONE, DOORKEEPER, WANTED, REPLICATION)
    assert "cassandra" not in ring.roles


def test_the_proof_fails_where_the_login_still_works(ring: FakeCassandra) -> None:
    with pytest.raises(CassopsError, match=f"{DOORKEEPER} still takes the default login"):
        superuser.prove_closed(NONE, DOORKEEPER)


def test_the_proof_waits_for_the_caches(ring: FakeCassandra, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node takes for two seconds what was right a moment ago."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            ring.roles["cassandra"].login = False

    monkeypatch.setattr(time, "sleep", sleep)
    superuser.prove_closed(NONE, DOORKEEPER)
    assert len(slept) == 3


def test_the_proof_fails_where_nobody_answers(ring: FakeCassandra) -> None:
    """No answer is no proof."""
    with pytest.raises(cql.NodeUnreachable):
        superuser.prove_closed(NONE, "shop-dc1-r2-0")


# --- statements -------------------------------------------------------------------------------------------------------


def test_names_and_passwords_are_quoted() -> None:
    hostile = Credentials('x" WITH SUPERUSER = true; --', "a' OR 'b")
    for exists in (False, True):
        statement = superuser.superuser_statement(hostile, exists)
        assert '"x"" WITH SUPERUSER = true; --" WITH PASSWORD' in statement
        assert "PASSWORD = 'a'' OR ''b' AND" in statement


def test_the_role_that_is_closed_gets_a_new_password_each_time() -> None:
    assert superuser.close_default_login() != superuser.close_default_login()
    assert superuser.close_default_login().endswith("AND LOGIN = false AND SUPERUSER = false")


def test_replicas_as_they_stand_are_kept(ring: FakeCassandra) -> None:
    """Somebody raised them, or gave some to a datacenter that is not ours."""
    ring.roles["shop-superuser"] = Role(WANTED.password)
    ring.members["far"] = Member("198.19.7.1", "r1", "host-f", (5,), datacenter="vm")
    strategy = "org.apache.cassandra.locator.NetworkTopologyStrategy"
    ring.replication["system_auth"] = {"class": strategy, "dc1": "5", "vm": "2"}
    ring.replication["system_traces"] = {"class": strategy, "dc1": "1"}
    superuser.replicate_at(NONE, DOORKEEPER, WANTED, {"dc1": 3})
    assert ring.replication["system_auth"] == {"class": strategy, "dc1": "5", "vm": "2"}
    assert ring.replication["system_traces"] == {"class": strategy, "dc1": "3"}
    assert not any("system_auth WITH" in text for text in changed(ring))


def test_a_node_that_does_not_find_us_is_not_the_only_one_to_ask(
    ring: FakeCassandra, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In 4.0 a new replica reads its own rows, which have not come yet; the one that had them finds us."""
    ring.roles["shop-superuser"] = Role(WANTED.password)
    asked: list[str] = []
    plain = superuser.replicate_at

    def replicate_at(kube: Kube, pod: str, *rest: Any) -> None:
        asked.append(pod)
        if pod != DOORKEEPER:
            raise cql.NotAllowed(f"{pod}: User shop-superuser has no SELECT permission")
        plain(kube, pod, *rest)

    monkeypatch.setattr(superuser, "replicate_at", replicate_at)
    superuser.replicate_more(NONE, ["other", DOORKEEPER], WANTED, "dc1", [2, 3])
    assert asked == ["other", DOORKEEPER] * 2
    with pytest.raises(cql.NotAllowed, match="other: User"):
        superuser.replicate_more(NONE, ["other"], WANTED, "dc1", [3])


def test_two_datacenters(ring: FakeCassandra) -> None:
    ring.members["far"] = Member("198.19.7.1", "r1", "host-f", (5,), datacenter="dc2")
    superuser.establish(NONE, DOORKEEPER, WANTED, {"dc1": 3, "dc2": 1})
    assert [ring.replication[name]["dc2"] for name in KEYSPACES] == ["1"] * 3


# --- the Secret -------------------------------------------------------------------------------------------------------


def encoded(**values: str) -> dict[str, Any]:
    return {"data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}}


def test_credentials_of_a_secret() -> None:
    assert superuser.credentials(encoded(username="me", password="p\u00e4ss"), "s") == Credentials("me", "p\u00e4ss")


@pytest.mark.parametrize(
    ("secret", "missing"),
    [
        ({}, "username, password"),
        ({"data": None}, "username, password"),
        (encoded(username="me"), "password"),
        (encoded(username="", password="x"), "username"),
    ],
)
def test_secrets_that_lack_something(secret: dict[str, Any], missing: str) -> None:
    with pytest.raises(CassopsError, match=f"Secret s needs the keys .*: {missing}$"):
        superuser.credentials(secret, "s")


class Secrets:
    def __init__(self, there: bool = False) -> None:
        self.there = there
        self.made: list[dict[str, Any]] = []

    def create(self, item: dict[str, Any]) -> None:
        if self.there:
            raise Conflict("already exists", 409)
        self.made.append(item)


def desired() -> spec.Datacenter:
    racks = [{"name": "r1", "nodes": 1}]
    values = {"cluster": "shop", "datacenter": "dc1", "version": "5.0.9", "racks": racks, "storage": {"size": "1Gi"}}
    return spec_parser.parse(values)


def test_a_secret_is_made_with_a_password_of_32_characters() -> None:
    passwords = set()
    for _turn in range(3):
        kube = Secrets()
        superuser.make_secret(cast(Kube, kube), desired(), {"team": "shop"})
        (made,) = kube.made
        assert made["metadata"] == {
            "name": "shop-superuser",
            "labels": {"team": "shop", "cassops.kubernetes/password": "random"},
        }
        assert made["stringData"]["username"] == "shop-superuser"
        assert re.fullmatch(r"[A-Za-z0-9]{32}", made["stringData"]["password"])
        passwords.add(made["stringData"]["password"])
    assert len(passwords) == 3


def test_a_secret_that_appeared_meanwhile_stays() -> None:
    kube = Secrets(there=True)
    superuser.make_secret(cast(Kube, kube), desired(), {})
    superuser.copy_secret(cast(Kube, kube), desired(), encoded(username="x", password="y"), {})
    assert kube.made == []


def test_a_further_datacenter_gets_the_secret_of_the_first() -> None:
    kube, source = Secrets(), encoded(username="x", password="y")
    superuser.copy_secret(cast(Kube, kube), desired(), source, {"a": "b"})
    assert kube.made[0]["data"] == source["data"]
    assert kube.made[0]["metadata"] == {"name": "shop-superuser", "labels": {"a": "b"}}
