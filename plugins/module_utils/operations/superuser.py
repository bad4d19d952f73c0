# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The superuser: made over the doorkeeper's loopback before any other door for clients opens.

Cassandra creates the login cassandra/cassandra on its first start (CassandraRoleManager.setupDefaultRole). While the
ledger's phase is C(new) CQL is off, but on the doorkeeper's loopback, which only the API server's port-forward reaches.
There the superuser is made and the default login is closed, for good; then the doors open.
"""

from __future__ import annotations

import secrets
import string
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from .. import cql
from ..errors import CassopsError
from ..kube import Kube
from ..kubeapi import Conflict
from ..observe import Credentials, lets_in, logged_in, value_of
from ..scaling import SYSTEM_KEYSPACES
from ..spec import Datacenter
from .waiting import PAUSE

LOGINS = "system_auth"
DEFAULT = Credentials("cassandra", "cassandra")
PASSWORD_LENGTH = 32
LABEL_CHOSEN = "cassops.kubernetes/password"
RANDOM = "random"
RANDOM_ROUNDS = 4
"""bcrypt's rounds for a random password, as a power of two: the fewest that Cassandra takes, by default it is 10.

They make each guess dear, and nobody guesses 190 bits; but each of our logins pays for them, a tenth of a second of a
processor on each node that is asked, and two on one that has just started.
"""
LIMIT = 30.0
# For so many seconds a login may be called wrong before the ring is looked at, and as long again before it counts.
DOUBT = 30.0


class Doubt:
    """Whether a login that is called wrong is wrong; one for each wait.

    On a first start a right one is refused too: Cassandra writes the default login some seconds after CQL opens, and
    once more when a node joins to which that row then belongs. So time counts anew from where the ring is whole.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """To be called at every look at which the login is not called wrong."""
        self._since: float | None = None
        self._whole = False

    def ends(self, is_whole: Callable[[], bool] = lambda: True) -> bool:
        """To be called at every other look.

        :param is_whole: whether every node is up in the ring; asked rarely.
        """
        now = time.monotonic()
        if self._since is None:
            self._since = now
        elif now - self._since > DOUBT:
            if self._whole:
                return True
            self._since, self._whole = now, is_whole()
        return False


def wrong_login(who: str, secret: str) -> str:
    return (
        f"{who} refuses the login of Secret {secret}: the superuser has another username or password. Put that into "
        "the Secret and run deploy again"
    )


def both_refused(doorkeeper: str) -> str:
    return (
        f"{doorkeeper} refuses the login of the superuser's Secret and the default login as well: "
        "this datacenter was given other credentials before; put them into the Secret"
    )


def credentials(secret: Mapping[str, Any], name: str, kube: Kube | None = None) -> Credentials:
    """Username and password of a Secret as the API gives it.

    :param kube: from which it was read, for a login to nodes: see L(observe.logged_in).
    :raises CassopsError: a key is missing or empty.
    """
    missing = [key for key in ("username", "password") if not value_of(secret, key)]
    if missing:
        raise CassopsError(
            f"Secret {name} needs the keys username and password; missing or empty: {', '.join(missing)}"
        )
    login = Credentials(value_of(secret, "username"), value_of(secret, "password"))
    return replace(login, secret=partial(kube.get, "Secret", name)) if kube else login


def make_secret(kube: Kube, datacenter: Datacenter, labels: Mapping[str, str]) -> None:
    """Create the Secret with a random password, labelled as such; one that appeared meanwhile stays as it is."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": datacenter.superuser_secret, "labels": {**labels, LABEL_CHOSEN: RANDOM}},
        "type": "Opaque",
        "stringData": {"username": f"{datacenter.cluster}-superuser", "password": random_password()},
    }
    try:
        kube.create(secret)
    except Conflict:
        pass


def random_password() -> str:
    alphabet = string.ascii_letters + string.digits
    return "".join(secrets.choice(alphabet) for dummy in range(PASSWORD_LENGTH))


def is_random(secret: Mapping[str, Any]) -> bool:
    """Whether the password is one of L(make_secret): somebody may have put another into the Secret since."""
    labelled = secret["metadata"].get("labels", {}).get(LABEL_CHOSEN) == RANDOM
    return labelled and len(value_of(secret, "password")) == PASSWORD_LENGTH


def establish(kube: Kube, doorkeeper: str, wanted: Credentials, replication: Mapping[str, int]) -> None:
    """Make the superuser, replicate the system's keyspaces, close the default login, prove it closed.

    Every step may be repeated: a run that died in the middle is finished by the next.

    :param doorkeeper: the node whose loopback is asked.
    :param replication: datacenter -> replicas of the system's keyspaces.
    :raises CassopsError: nobody can log in, the default login is still open at the end, or a node does not hear of the
        change and would ask replicas that never heard that it is closed.
    """
    is_spread = create(kube, doorkeeper, wanted, replication)
    with logged_in(kube, doorkeeper, wanted, LIMIT) as session:
        if not is_spread:
            spread(session, doorkeeper, replication)
        if wanted.username != DEFAULT.username and is_open(session):
            session.execute(close_default_login(), timeout=LIMIT)
        synchronise(session)
    prove_closed(kube, doorkeeper)


def create(kube: Kube, doorkeeper: str, wanted: Credentials, replication: Mapping[str, int]) -> bool:
    """Make the superuser by the default login, where an earlier run has not done so, and spread both.

    A role that already has the password is left alone: 5.0 refuses to change one twice within seconds.

    :return: whether the default login was open. Who closed it had spread them before.
    """

    def stands() -> bool:
        return lets_in(kube, doorkeeper, wanted, LIMIT)

    try:
        with cql.connect(kube, doorkeeper, DEFAULT.username, DEFAULT.password, timeout=LIMIT) as session:
            exists = role_exists(session, wanted.username)
            if not (exists and stands()):
                session.execute(superuser_statement(wanted, exists), timeout=LIMIT)
            spread(session, doorkeeper, replication)
            return True
    except cql.LoginRefused as error:
        if not cql.is_wrong(str(error)):
            raise
        if stands():
            return False
        raise CassopsError(both_refused(doorkeeper)) from error


def spread(session: cql.Session, doorkeeper: str, replication: Mapping[str, int]) -> None:
    """Give the logins their replicas, and bring their rows there, while whoever asks is found by their rows himself.

    The default login is read at QUORUM (C(CassandraRoleManager.consistencyForRole)): with one replica more at a time it
    always finds one that has the row. Others are read at LOCAL_ONE in 4.0, which asks the own replica, new or not.
    """
    for fewer in on_the_way(session, replication):
        move(session, doorkeeper, fewer, LOGINS)
    move(session, doorkeeper, replication, *SYSTEM_KEYSPACES)


def on_the_way(session: cql.Session, replication: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """The replications between the present one and that of a single datacenter, one replica more each.

    From 4.1 on there are none: C(cassandra.system_auth.default_rf).
    """
    if len(replication) > 1:
        return
    living = living_replication(session, LOGINS)
    for datacenter, count in replication.items():
        have = living.get(datacenter) or living.get("replication_factor") or str(count)
        yield from ({datacenter: number} for number in range(int(have.partition("/")[0]) + 1, count))


def move(session: cql.Session, doorkeeper: str, replication: Mapping[str, int], *keyspaces: str) -> None:
    """Give keyspaces of the system their replicas, and bring the rows of the logins there.

    :raises CassopsError: a node does not hear of it.
    """
    set_replication(session, replication, *keyspaces)
    # A node that has not heard of it drops what is not its own by the old replication, without an answer
    # (reject_out_of_token_range_requests). In another datacenter, which keeps an old schema while it is down, the
    # default login was closed long ago.
    if not session.agree(LIMIT) and len(replication) == 1:
        raise CassopsError(
            f"not all nodes know where logins are kept now ({doorkeeper} waited {LIMIT:.0f} s for one schema): CQL "
            f"stays closed. Run it again; if it stays so, nodetool describecluster in {doorkeeper} tells who has "
            "another one, and the log of that node why"
        )
    # Whether the default login is open is asked of a quorum, which may be another one now.
    synchronise(session, "roles")


def superuser_statement(wanted: Credentials, exists: bool) -> str:
    """A role that an earlier run made may have another password: its Secret was deleted and made again.

    Nobody may alter whether the own role is a superuser, so the default role, where it is the wanted one, only gets
    the password.
    """
    if wanted.username == DEFAULT.username:
        return password_statement(wanted.username, wanted.password)
    role, password = cql.identifier(wanted.username), cql.text_literal(wanted.password)
    verb = "ALTER" if exists else "CREATE"
    return f"{verb} ROLE {role} WITH PASSWORD = {password} AND LOGIN = true AND SUPERUSER = true"


def password_statement(username: str, password: str) -> str:
    return f"ALTER ROLE {cql.identifier(username)} WITH PASSWORD = {cql.text_literal(password)}"


def role_exists(session: cql.Session, name: str) -> bool:
    statement = "SELECT role FROM system_auth.roles WHERE role = ?"
    return bool(session.execute(statement, (name,), consistency="QUORUM"))


def is_open(session: cql.Session) -> bool:
    """Whether the default login opens anything. One that a killed run closed stays: see L(create) on passwords."""
    statement = "SELECT can_login, is_superuser FROM system_auth.roles WHERE role = ?"
    rows = session.execute(statement, (DEFAULT.username,), consistency="QUORUM")
    return any(row["can_login"] or row["is_superuser"] for row in rows)


def close_default_login() -> str:
    """The role stays (Cassandra would otherwise make it again on an empty table) but opens nothing."""
    password = cql.text_literal(secrets.token_urlsafe(32))
    return f"ALTER ROLE cassandra WITH PASSWORD = {password} AND LOGIN = false AND SUPERUSER = false"


def replicate(session: cql.Session, replication: Mapping[str, int]) -> None:
    """Give the system's keyspaces their replicas, and bring the logins to all of them."""
    set_replication(session, replication, *SYSTEM_KEYSPACES)
    session.agree(LIMIT)
    synchronise(session)


def set_replication(session: cql.Session, replication: Mapping[str, int], *keyspaces: str) -> None:
    """Give keyspaces of the system their replicas; not all nodes know that when it ends.

    What somebody raised in a datacenter, or gave to one that is not in the inventory, stays.
    """
    for keyspace in keyspaces:
        living = living_replication(session, keyspace)
        desired = wanted_replication(living, replication)
        if living != desired:
            session.execute(replication_statement(keyspace, desired), timeout=LIMIT, agree=False)


def replication_statement(keyspace: str, replication: Mapping[str, str]) -> str:
    """:param keyspace: as CQL takes its name."""
    options = ", ".join(f"{cql.text_literal(key)}: {cql.text_literal(value)}" for key, value in replication.items())
    return f"ALTER KEYSPACE {keyspace} WITH replication = {{{options}}}"


def living_replication(session: cql.Session, keyspace: str) -> dict[str, str]:
    row = session.execute("SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?", (keyspace,))[0]
    return {**row["replication"], "class": row["replication"]["class"].rpartition(".")[2]}


def wanted_replication(living: Mapping[str, str], replication: Mapping[str, int]) -> dict[str, str]:
    """NetworkTopologyStrategy with at least the replicas given, and no fewer than there are."""
    counts = dict(replication)
    if living["class"] == "NetworkTopologyStrategy":
        there = {name: int(count.partition("/")[0]) for name, count in living.items() if name != "class"}
        counts = {name: max(there.get(name, 0), counts.get(name, 0)) for name in {*there, *counts}}
    return {"class": "NetworkTopologyStrategy", **{name: str(count) for name, count in sorted(counts.items())}}


def synchronise(session: cql.Session, *tables: str) -> None:
    """Bring every row that logins need to all its replicas.

    A read of whole tables at ALL repairs what it finds different (C(read_repair = 'BLOCKING'), the default of these
    tables): on tables of a few rows that is what a repair would do, without starting one.

    :param tables: only those of these; none are all of the keyspace.
    """
    if not tables:
        rows = session.execute("SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?", (LOGINS,))
        tables = tuple(sorted(row["table_name"] for row in rows))
    for table in tables:
        session.execute(f"SELECT * FROM system_auth.{table}", consistency="ALL", timeout=LIMIT)


def prove_closed(kube: Kube, pod: str) -> None:
    """Wait until the node refuses cassandra/cassandra; it remembers a login for C(roles_validity), by default 2 s.

    :raises CassopsError: the node still takes it when the limit passes.
    """
    end = time.monotonic() + LIMIT
    while lets_default_in(kube, pod):
        if time.monotonic() > end:
            raise CassopsError(f"{pod} still takes the default login cassandra/cassandra; CQL stays closed")
        time.sleep(PAUSE)


def lets_default_in(kube: Kube, pod: str) -> bool:
    try:
        return lets_in(kube, pod, DEFAULT, LIMIT)
    except cql.LoginRefused:
        # It cannot read logins just now, and lets nobody in.
        return False


def replicate_at(kube: Kube, pod: str, wanted: Credentials, replication: Mapping[str, int]) -> None:
    """L(replicate), through a node of a datacenter that already serves."""
    with logged_in(kube, pod, wanted, LIMIT) as session:
        replicate(session, replication)


def replicate_more(
    kube: Kube, pods: Sequence[str], wanted: Credentials, datacenter: str, counts: Iterable[int]
) -> None:
    """L(replicate) in a datacenter that serves, and whose logins are in use.

    :param pods: who can be asked. In 4.0 a node that has just become a replica finds no row of its own, and refuses us.
    :param counts: of replicas there, each one more than the last. Then each quorum has one that had the rows before.
    :raises CassopsError: none of them does it.
    """
    for count in counts:
        left = list(pods)
        while left:
            try:
                replicate_at(kube, left.pop(0), wanted, {datacenter: count})
                break
            except (cql.LoginRefused, cql.NotAllowed):
                if not left:
                    raise


def copy_secret(kube: Kube, datacenter: Datacenter, source: Mapping[str, Any], labels: Mapping[str, str]) -> None:
    """The Secret of another datacenter of the cluster, under the same name here."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": datacenter.superuser_secret, "labels": dict(labels)},
        "type": "Opaque",
        "data": dict(source["data"]),
    }
    try:
        kube.create(secret)
    except Conflict:
        pass
