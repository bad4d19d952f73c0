# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from unit.plugins.module_utils.fake_cassandra import FakeSession, Member
from unit.plugins.module_utils.fake_kube import FakeKube, Killed
from unit.plugins.module_utils.fake_scaling import Scaling

from ansible_collections.cassops.kubernetes.plugins.module_utils import cql, observe
from ansible_collections.cassops.kubernetes.plugins.module_utils.context import Context, Failed
from ansible_collections.cassops.kubernetes.plugins.module_utils.events import seconds_of
from ansible_collections.cassops.kubernetes.plugins.module_utils.kube import Kube
from ansible_collections.cassops.kubernetes.plugins.module_utils.kubeapi import Conflict
from ansible_collections.cassops.kubernetes.plugins.module_utils.lock import Lock, Locked
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import (
    datacenter,
    datacenter_info,
    superuser,
    superuser_rotate,
)

SECRET, ROLE = "shop-superuser", "shop-superuser"
FIRST, SECOND = "shop-dc1-r1-0", "shop-dc1-r2-0"
PEERS = [{"datacenter": "dc2", "namespace": "far"}]
DAY = 86400
NOTHING: dict[str, Any] = {"changed": False, "changes": [], "nodes": []}


@dataclass
class Rotating(Scaling):
    """One datacenter, and another one of the cluster in a namespace of its own, if a test makes it."""

    others: dict[str, FakeKube] = field(default_factory=dict)

    def context(self, check: bool = False) -> Context:
        def kube_of(params: Mapping[str, Any]) -> Kube:
            return cast(Kube, self.others.get(params.get("namespace") or "", self.kube))

        return replace(super().context(check), connect=kube_of)

    def add_second(self) -> None:
        self.others["far"] = FakeKube(self.ring, "far", subnet="198.19.7")
        there = {"datacenter": "dc2", "namespace": "far", "peers": [{"datacenter": "dc1", "namespace": "ns"}]}
        self.run(datacenter, {"r1": 1, "r2": 1}, state="present", **there)

    @property
    def kubes(self) -> list[FakeKube]:
        return [self.kube, *self.others.values()]

    def rotate(self, check: bool = False, **changes: Any) -> dict[str, Any]:
        peers = PEERS if self.others else []
        return self.run(superuser_rotate, check=check, **{"peers": peers, "max_age": 0, **changes})

    def password(self, kube: FakeKube | None = None, key: str = "password") -> str:
        return observe.value_of((kube or self.kube).one("Secret", SECRET), key)

    def put(self, password: str, kube: FakeKube | None = None, key: str = "next_password") -> None:
        """As somebody else does, such as External Secrets."""
        secret = (kube or self.kube).get("Secret", SECRET)
        assert secret is not None
        secret["data"][key] = base64.b64encode(password.encode()).decode()
        (kube or self.kube).put(secret)

    def assert_everybody_gets_in(self) -> None:
        """Each operation, by the Secret of its own namespace."""
        for kube in self.kubes:
            login = superuser.credentials(kube.one("Secret", SECRET), SECRET, cast(Kube, kube))
            for pod in self.ring.members:
                assert observe.lets_in(cast(Kube, kube), pod, login, 1.0)

    def assert_settled(self, before: str) -> str:
        """One new password, everywhere and alone."""
        [password] = {self.password(kube) for kube in self.kubes}
        assert password != before
        assert self.ring.roles[ROLE].password == password
        assert {self.password(kube, "next_password") for kube in self.kubes} == {""}
        return password

    def killed_at(self, lives: int, **changes: Any) -> bool:
        """Whether a run was killed before its write number C(lives), of all namespaces and of Cassandra."""
        left = [lives]

        def count(what: str) -> None:
            if not left[0]:
                for kube in self.kubes:
                    kube.dead = True
                raise Killed(what)
            left[0] -= 1

        for kube in self.kubes:
            kube.before_write = count  # type: ignore[method-assign]
        self.ring.before_change = count
        with contextlib.suppress(Killed):
            self.rotate(**changes)
        killed = self.kube.dead
        self.ring.before_change = lambda what: None
        for kube in self.kubes:
            del kube.before_write  # type: ignore[method-assign]
            kube.revive()
        return killed


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Rotating:
    return cast(Rotating, Rotating.deployed(monkeypatch))


@pytest.fixture
def two(world: Rotating) -> Rotating:
    world.add_second()
    return world


def test_a_new_password_in_cassandra_and_in_the_secret(world: Rotating) -> None:
    before = world.password()
    result = world.rotate()
    assert result == {
        "changed": True,
        "changes": [
            f"write next_password into Secret {SECRET} in namespace ns",
            f"change the password of the role {ROLE}",
            f"move next_password to password in Secret {SECRET} in namespace ns",
        ],
        "nodes": [FIRST, SECOND, "shop-dc1-r3-0"],
    }
    after = world.assert_settled(before)
    assert len(after) == superuser.PASSWORD_LENGTH
    assert world.ring.roles[ROLE].superuser
    assert not observe.lets_in(cast(Kube, world.kube), FIRST, observe.Credentials(ROLE, before), 1.0)
    assert world.run(datacenter, state="present")["changed"] is False
    assert not any(secret in str([world.said, result]) for secret in (before, after))


def test_the_row_is_brought_to_all_its_replicas_when_it_was_changed(world: Rotating) -> None:
    world.ring.statements.clear()
    world.rotate()
    altered = next(number for number, text in enumerate(world.ring.statements) if text.startswith("ALTER ROLE"))
    assert "SELECT * FROM system_auth.roles" in world.ring.statements[altered:]


def test_each_run_is_a_rotation_unless_an_age_is_given(world: Rotating) -> None:
    world.rotate()
    first = world.password()
    world.rotate()
    second = world.assert_settled(first)
    world.kube.clock += 89 * DAY
    assert world.rotate(max_age=90) == NOTHING
    assert world.said[-1].endswith("came into force 89d0h ago: due after 90 days")
    world.kube.clock += DAY + 1
    assert world.rotate(max_age=90)["changed"]
    world.assert_settled(second)


def test_a_password_that_was_never_rotated_is_as_old_as_its_secret(world: Rotating) -> None:
    made = world.kube.one("Secret", SECRET)["metadata"]
    made["creationTimestamp"] = "2027-01-15T00:00:00Z"
    world.kube.clock = seconds_of(made["creationTimestamp"]) + DAY
    assert world.rotate(max_age=2)["changed"] is False
    assert world.rotate(max_age=1)["changed"] is True


def test_a_password_that_somebody_put_there_comes_into_force_whatever_the_age(world: Rotating) -> None:
    world.rotate()
    world.put("it's mine")
    assert world.rotate(max_age=90)["changes"][0] == f"change the password of the role {ROLE}"
    assert world.ring.roles[ROLE].password == world.password() == "it's mine"
    assert world.password(key="next_password") == ""


def test_what_is_in_force_already_is_only_put_in_order(world: Rotating) -> None:
    """External Secrets writes both keys again until somebody changes its source."""
    before = world.password()
    world.put("mine")
    world.rotate()
    world.put(before, key="password")
    world.put("mine")
    world.assert_everybody_gets_in()
    assert world.rotate()["changes"] == [f"move next_password to password in Secret {SECRET} in namespace ns"]
    assert world.password() == "mine"


# --- several datacenters ----------------------------------------------------------------------------------------------


def test_the_secrets_of_all_datacenters_get_it_before_cassandra(two: Rotating) -> None:
    before, told = two.password(), []
    two.ring.before_change = lambda what: told.append({two.password(kube, "next_password") for kube in two.kubes})
    two.rotate()
    assert told == [{two.assert_settled(before)}]


def test_one_that_has_not_finished_its_first_start_gets_it_too(two: Rotating) -> None:
    before = two.password()
    two.others["far"].one("ConfigMap", "shop-dc2-ledger")["data"]["phase"] = "new"
    two.ring.members = {pod: member for pod, member in two.ring.members.items() if member.datacenter == "dc1"}
    two.rotate()
    two.assert_settled(before)


OWN = "dc2-superuser"


def test_a_datacenter_may_have_a_secret_of_its_own_name(world: Rotating) -> None:
    """What is in it is the cluster's: the second one gets in by a copy, and both get the next password."""
    far = world.others["far"] = FakeKube(world.ring, "far", subnet="198.19.7")
    there = {
        "datacenter": "dc2",
        "namespace": "far",
        "superuser_secret": OWN,
        "peers": [{"datacenter": "dc1", "namespace": "ns", "superuser_secret": SECRET}],
    }
    world.run(datacenter, {"r1": 1, "r2": 1}, state="present", **there)
    assert far.names("Secret") == [OWN]
    before = world.password()
    assert observe.value_of(far.one("Secret", OWN), "password") == before
    world.rotate(peers=[{**PEERS[0], "superuser_secret": OWN}])
    assert world.password() == observe.value_of(far.one("Secret", OWN), "password") != before
    assert world.ring.roles[ROLE].password == world.password()
    assert observe.value_of(far.one("Secret", OWN), "next_password") == ""


def test_two_next_passwords_are_one_too_many(two: Rotating) -> None:
    two.put("one")
    two.put("another", two.others["far"])
    with pytest.raises(
        Failed, match="the key next_password is not the same in Secret shop-superuser in namespace far and"
    ):
        two.rotate()
    assert two.writes()[-1:] != ["patch Secret shop-superuser"]


def test_a_secret_with_another_role_is_left_alone(two: Rotating) -> None:
    far = two.others["far"]
    two.ring.roles["other"] = replace(two.ring.roles[ROLE], password="theirs")
    two.put("other", far, "username")
    two.put("theirs", far, "password")
    two.rotate()
    assert two.password(far) == two.ring.roles["other"].password == "theirs"


def test_members_that_nobody_would_ask_are_in_the_way(world: Rotating) -> None:
    """A datacenter that is not among the peers: its automation would not get in any more."""
    world.ring.join("far", Member("198.19.9.9", "r1", "far", (5,), datacenter="dc9"))
    with pytest.raises(Failed, match=r"198\.19\.9\.9 of datacenter dc9 is a member of the ring and none of the nodes"):
        world.rotate(gate_timeout=0)


# --- what is in the way -----------------------------------------------------------------------------------------------


def test_a_node_that_is_down_is_in_the_way(world: Rotating) -> None:
    world.ring.down.add(SECOND)
    before = world.password()
    with pytest.raises(Failed, match="the gates before the password changes to open: not so after 0 s") as failure:
        world.rotate(gate_timeout=0)
    assert failure.value.result == NOTHING
    assert (world.password(), world.password(key="next_password")) == (before, "")


def test_a_second_run_is_refused(world: Rotating) -> None:
    with Lock(cast(Kube, world.kube), "shop-lock", "another"), pytest.raises(Failed) as failure:
        world.rotate()
    assert isinstance(failure.value.__cause__, Locked)


def test_a_secret_that_somebody_changes_meanwhile_is_not_written_over(world: Rotating) -> None:
    world.ring.before_change = lambda what: world.put("of somebody else", key="note")
    with pytest.raises(Failed, match="it was changed in between"):
        world.rotate()
    world.ring.before_change = lambda what: None
    world.assert_everybody_gets_in()
    assert world.rotate()["changes"] == [f"move next_password to password in Secret {SECRET} in namespace ns"]
    assert len([text for text in world.ring.statements if text.startswith(f'ALTER ROLE "{ROLE}"')]) == 1


@pytest.mark.parametrize("turn", [1, 2])
def test_a_change_that_was_stored_and_not_answered_is_done(
    world: Rotating, monkeypatch: pytest.MonkeyPatch, turn: int
) -> None:
    """It is sent once more then, and the API server refuses it: it has been changed since."""
    patch, sent = world.kube.patch, []

    def hung_up(kind: str, name: str, change: Mapping[str, Any], **options: Any) -> Any:
        stored = patch(kind, name, change, **options)
        sent.append(name)
        if len(sent) == turn:
            raise Conflict("the object has been modified")
        return stored

    before = world.password()
    monkeypatch.setattr(world.kube, "patch", hung_up)
    assert world.rotate()["changed"]
    assert len(sent) == 2
    assert world.password() != before
    world.assert_everybody_gets_in()


def written_by_another(world: Rotating, before: str) -> None:
    """What External Secrets do: they know the old password, and nothing of another key."""
    secret = world.kube.one("Secret", SECRET)
    secret["data"].pop("next_password", None)
    world.kube.put(secret)
    world.put(before, key="password")


def test_a_password_that_the_secret_has_lost_is_not_told_to_cassandra(
    world: Rotating, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = world.password()
    monkeypatch.setattr(superuser_rotate.time, "sleep", lambda seconds: written_by_another(world, before))
    with pytest.raises(Failed, match="something else writes Secret shop-superuser in namespace ns"):
        world.rotate()
    assert world.ring.roles[ROLE].password == before
    world.assert_everybody_gets_in()


def test_a_password_that_is_in_force_is_kept_though_somebody_writes_the_secret(world: Rotating) -> None:
    before = world.password()
    world.ring.before_change = lambda what: written_by_another(world, before)
    with pytest.raises(Failed, match="it was changed in between"):
        world.rotate()
    world.ring.before_change = lambda what: None
    assert world.ring.roles[ROLE].password == world.password(key="next_password") != before
    world.assert_everybody_gets_in()
    world.rotate()
    world.assert_settled(before)


def test_no_password_is_drawn_for_a_secret_that_something_else_writes(world: Rotating) -> None:
    before, secret = world.password(), world.kube.one("Secret", SECRET)
    secret["metadata"]["ownerReferences"] = [{"kind": "ExternalSecret", "name": "superuser"}]
    world.kube.put(secret)
    with pytest.raises(Failed, match="put next_password where it comes from"):
        world.rotate()
    assert world.ring.roles[ROLE].password == before
    world.put("From the vault")
    world.rotate()
    world.assert_settled(before)


def test_a_secret_of_another_cluster_is_not_rotated(world: Rotating) -> None:
    secret = world.kube.one("Secret", SECRET)
    secret["metadata"]["labels"]["cassops.kubernetes/cluster"] = "crm"
    world.kube.put(secret)
    with pytest.raises(Failed, match="was made for the cluster crm"):
        world.rotate()


def test_white_space_around_a_next_password_is_no_part_of_it(world: Rotating) -> None:
    before = world.password()
    world.put("new\n")
    with pytest.raises(Failed, match="begins or ends with white space"):
        world.rotate()
    assert world.ring.roles[ROLE].password == before


def test_a_next_password_that_is_no_text_is_told(world: Rotating) -> None:
    secret = world.kube.one("Secret", SECRET)
    secret["data"]["next_password"] = base64.b64encode(b"\xff\xfe").decode()
    world.kube.put(secret)
    told = world.run(datacenter_info)["datacenter"]["problems"]
    assert any("next_password beside the one in force" in each["problem"] for each in told)
    with pytest.raises(Failed, match="the key next_password of Secret shop-superuser is no text"):
        world.rotate()


def test_check_mode_tells_what_would_be_done(two: Rotating) -> None:
    before, writes = two.password(), [len(kube.writes) for kube in two.kubes]
    told = two.rotate(check=True)
    assert [len(kube.writes) for kube in two.kubes] == writes
    assert two.ring.roles[ROLE].password == before
    assert two.rotate()["changes"] == told["changes"]
    assert two.rotate(check=True, max_age=1) == NOTHING


# --- nodes that remember ----------------------------------------------------------------------------------------------


def remember(
    world: Rotating, monkeypatch: pytest.MonkeyPatch, pod: str, looks: int, old: bool = True, new: bool = False
) -> None:
    """A node that takes these for so many logins more, by default as if nothing had happened."""
    role, before, left = world.ring.roles, world.password(), [looks]

    @contextlib.contextmanager
    def connect(kube: Any, asked: str, username: str, password: str, **options: Any) -> Iterator[Any]:
        if asked == pod and role[ROLE].password != before and left[0]:
            left[0] -= 1
            if not (old if password == before else new):
                raise cql.LoginRefused(f"{pod}: provided username {username} and/or password are incorrect")
            yield FakeSession(world.ring, pod, username)
            return
        with world.ring.connect(kube, asked, username, password, **options) as session:
            yield session

    monkeypatch.setattr(cql, "connect", connect)


@pytest.mark.parametrize(
    ("takes", "words"),
    [
        ({"old": True}, "still takes the old one"),
        ({"old": True, "new": True}, "still takes the old one"),
        ({"old": False}, "does not take it yet"),
    ],
)
def test_a_node_that_does_not_take_the_new_password_alone_is_waited_for(
    world: Rotating, monkeypatch: pytest.MonkeyPatch, takes: dict[str, bool], words: str
) -> None:
    before = world.password()
    remember(world, monkeypatch, SECOND, 4, **takes)
    world.rotate()
    world.assert_settled(before)
    assert any(f"{SECOND} {words}: it remembers logins for credentials_validity" in text for text in world.said)


def test_one_that_never_forgets_is_told_and_both_stay(world: Rotating, monkeypatch: pytest.MonkeyPatch) -> None:
    before = world.password()
    remember(world, monkeypatch, SECOND, -1)
    with pytest.raises(Failed, match=r"every node to take the new password only: not so .*raise wait_timeout"):
        world.rotate(wait_timeout=0)
    world.assert_everybody_gets_in()
    assert world.run(datacenter_info)["datacenter"]["problems"][0] == {
        "problem": f"Secret {SECRET} has a next_password beside the one in force",
        "advice": "run the playbook rotate_superuser, which puts it in force",
    }
    monkeypatch.setattr(cql, "connect", world.ring.connect)
    world.rotate()
    world.assert_settled(before)


# --- killed -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [False, True])
def test_killed_before_any_write_nobody_is_locked_out_and_the_next_run_finishes_it(
    monkeypatch: pytest.MonkeyPatch, given: bool
) -> None:
    for lives in range(40):
        world = cast(Rotating, Rotating.deployed(monkeypatch))
        world.add_second()
        before = world.password()
        if given:
            world.put("mine")
        killed = world.killed_at(lives)
        world.assert_everybody_gets_in()
        begun = {world.password(kube, "next_password") for kube in world.kubes} != {""}
        # What was begun is finished whatever the age.
        world.rotate(max_age=90 if given or begun else 0)
        assert not given or world.password() == "mine"
        world.assert_settled(before)
        if not killed:
            return
    raise AssertionError("it never comes to its end")


def test_who_is_at_work_meanwhile_gets_in_after_it(world: Rotating) -> None:
    """A repair or a backup of hours has read the Secret before."""
    kube = cast(Kube, world.kube)
    login = superuser.credentials(world.kube.one("Secret", SECRET), SECRET, kube)
    world.rotate()
    with observe.logged_in(kube, FIRST, login, 1.0) as session:
        assert session.execute("SELECT role FROM system_auth.roles WHERE role = ?", (ROLE,), "QUORUM")


def test_a_wrong_password_stays_one(world: Rotating) -> None:
    world.put("wrong", key="password")
    world.put("wrong too")
    login = superuser.credentials(world.kube.one("Secret", SECRET), SECRET, cast(Kube, world.kube))
    with pytest.raises(cql.LoginRefused), observe.logged_in(cast(Kube, world.kube), FIRST, login, 1.0):
        pass
