# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The nodes of a datacenter are given the rows of keyspaces that have been replicated to it: C(nodetool rebuild), one
keyspace on one node after the other.

What was done stands in an annotation of the ledger (L(rebuilding)), so a run that was killed is finished by the next.

Cassandra has a record of its own, C(system.available_ranges_v2), of the ranges that a node was ever streamed, also when
it joined. 4.x silently leaves out what stands there, and 5.0 refuses (C(RangeStreamer.fetchAsync)): a keyspace that was
taken away and given back, or a rebuild that failed half-way, would stay without rows. So it is forgotten each time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from .. import cql, gates, nodetool, rebuilding, scaling
from ..activity import ASK_LIMIT
from ..context import Context, Failed
from ..errors import CassopsError, SpecError
from ..kubeapi import LOST, ExecTimeout
from ..ledger import ledger_name
from ..observe import attempt, logged_in, together
from ..rebuilding import Changed, Note, Part, Wish
from ..view import View
from . import catalogue, departed, repairing, superuser, unfinished
from .cluster import CLUSTER, Cluster, Place, Sight
from .streaming import VERB_LIMIT, Stream
from .waiting import GATES_LIMIT, in_background, until, wait_for

NODE_LIMIT = "node_timeout"
ARGUMENT_SPEC: Mapping[str, Any] = {
    **CLUSTER,
    "source": {"type": "str"},
    "keyspaces": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "replication": {"type": "dict", "default": {}},
    "again": {"type": "bool", "default": False},
    "ignore": {"type": "list", "elements": "str", "choices": [scaling.SPACE], "default": []},
    GATES_LIMIT: {"type": "int", "default": 900},
    NODE_LIMIT: {"type": "int", "default": 86400},
    "option_prefix": {"type": "str", "default": ""},
}
# Seconds between two looks.
PAUSE = 10.0
# Seconds that a node may be silent while it is waited for; a restart of it takes less.
SILENCE = 900.0
# How often a part is begun again whose connection is lost each time: each one streams all of it.
TURNS = 5
# What a node says that is at one already (C(StorageService.rebuild)): it streams nothing yet, or not any more.
STILL = "Node is still rebuilding"
FORGET = "DELETE FROM system.available_ranges_v2 WHERE keyspace_name = ?"


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """The backend of the module C(rebuild). See its documentation for parameters and results.

    :raises SpecError: what was said cannot be done, with every reason.
    :raises Failed: it was begun and could not be finished; the next run goes on.
    """
    rebuild = Rebuild(Cluster(params, ctx), params, ctx)
    rebuild.refuse_room(of_who_answers=True)
    rebuild.refuse_left_behind(of_who_answers=True)
    if ctx.check_mode:
        return rebuild.result()
    with rebuild.cluster.locked():
        try:
            rebuild.run()
        except CassopsError as error:
            raise Failed(str(error), rebuild.result(), getattr(error, "errors", ())) from error
    return rebuild.result()


@dataclass(frozen=True)
class Seen:
    """What a look has seen.

    :ivar noted: what was rebuilt, see L(rebuilding).
    :ivar names: the keyspaces that it is about.
    :ivar changes: keyspace -> its next replication, of those that get one.
    :ivar changed: keyspace -> when it was changed last.
    """

    sight: Sight
    noted: Mapping[str, Note]
    names: tuple[str, ...]
    changes: Mapping[str, Mapping[str, str]]
    changed: Mapping[str, Changed]

    @property
    def view(self) -> View:
        """Of the whole cluster."""
        return self.sight.view.joined(self.sight.others)

    @property
    def nodes(self) -> list[tuple[str, str]]:
        """Pods of the datacenter, and the identities of their nodes."""
        return rebuilding.nodes_of(self.sight.view)

    @property
    def identities(self) -> list[str]:
        return [node for _pod, node in self.nodes]

    @property
    def due(self) -> list[Part]:
        """What nodes have yet to get."""
        changed = {name: moment for name, moment in self.changed.items() if name not in self.changes}
        return rebuilding.due(self.names, changed, self.noted, self.nodes)


class Rebuild:
    """One run over the nodes of one datacenter."""

    def __init__(self, cluster: Cluster, params: Mapping[str, Any], ctx: Context) -> None:
        self.cluster = cluster
        self.params = params
        self.ctx = ctx
        self.wish = Wish(
            cluster.own.datacenter,
            params["source"] or "",
            tuple(params["keyspaces"]),
            params["replication"],
            params["option_prefix"],
            params["again"],
        )
        # Whether what is noted of these keyspaces counts.
        self.counts = not params["again"]
        self.altered: list[str] = []
        self.rebuilt: list[dict[str, Any]] = []
        self.seen = self.look()
        self.refuse_by_others()
        # Also what is finished on the way: a repair comes behind all of it.
        self.names = self.seen.names
        self.source = rebuilding.source(self.seen.view, self.wish)
        # Before and after.
        known = rebuilding.users(self.seen.view)
        self.replications = {name: (rebuilding.plainly(known[name]), new) for name, new in self.seen.changes.items()}
        ctx.warnings.extend(rebuilding.warnings(self.seen.view, self.seen.names))

    def run(self) -> None:
        self.seen = self.look()
        # Another run may have ended before the lock was taken.
        self.refuse_by_others()
        if self.counts:
            self.write(self.seen.noted)
        if not self.seen.due:
            return
        self.wait_for_rebuilds()
        self.open_gates("anything changes")
        self.refuse_room()
        self.refuse_left_behind()
        self.alter()
        while self.seen.due:
            part = self.seen.due[0]
            # What all nodes have said when the last part was done is young enough, unless it took long to note that.
            if self.seen.sight.is_old or scaling.before_step(self.scene()):
                self.open_gates(f"{part.pod} gets rows of {part.keyspace}")
            # Its pod may be another node by now.
            if part in self.seen.due:
                self.one(part, len(self.seen.due))
        # Who did not tell who it is when the last part was done may have told it since.
        self.write(self.seen.noted)

    # Looking

    def look(self, changed: Mapping[str, Changed] | None = None) -> Seen:
        """
        :param changed: when keyspaces were changed, if that was read before. It is not read anew for each part: what
            is made meanwhile, or taken away and given back, is seen by the next run.
        :raises SpecError: what was said cannot be done.
        :raises CassopsError: no node answers.
        """
        sight = self.cluster.ask_all(self.cluster.look())
        view = sight.view.joined(sight.others)
        if not sight.view.observations:
            raise CassopsError(f"no node could be asked: {'; '.join(gates.whole(sight.view))}")
        noted = notes_of(self.cluster.own, sight)
        reasons = rebuilding.refusals(view, self.wish, noted)
        if reasons:
            raise SpecError(reasons)
        changed = changed or self.moments(min(sight.view.observations))
        names = tuple(name for name in rebuilding.chosen(view, self.wish, noted) if name in changed)
        told = {name: note for name, note in noted.items() if self.counts or name not in names}
        return Seen(sight, told, names, rebuilding.changes(view, self.wish), changed)

    def refuse_by_others(self) -> None:
        """:raises SpecError: what is noted of the other datacenters stands against it, or a restore anywhere."""
        due = sorted({part.keyspace for part in self.seen.due})
        theirs = {place.datacenter: rebuilding.notes(noted_in(place)) for place in self.cluster.peers if due}
        noted = notes_of(self.cluster.own, self.seen.sight)
        reasons = rebuilding.by_others(self.seen.view, self.wish, due, noted, theirs)
        own, found = self.cluster.own, self.seen.sight.found
        reasons += unfinished.beside_decommission(found, own.cluster, own.datacenter, "deploy it anew, and rebuild")
        for place in (self.cluster.own, *self.cluster.peers) if due else ():
            begun = catalogue.being_restored(place.kube, place.cluster, place.datacenter)
            reasons += unfinished.half_restored(begun, "rebuild")
        if reasons:
            raise SpecError(reasons)

    def moments(self, pod: str) -> dict[str, Changed]:
        """Keyspace -> when it was changed last, in the word of a node."""
        with self.session(pod) as session:
            keyspaces = session.execute(repairing.REPLICATED)
            parts = [*session.execute(repairing.TABLES), *session.execute(repairing.VIEWS)]
        tables: dict[str, set[int]] = {}
        for row in parts:
            tables.setdefault(row["keyspace_name"], set()).add(row["since"] or 0)
        return {
            row["keyspace_name"]: Changed(row["since"] or 0, frozenset(tables.get(row["keyspace_name"], ())))
            for row in keyspaces
        }

    def session(self, pod: str) -> Any:
        return logged_in(self.cluster.kube, pod, self.cluster.own.credentials, ASK_LIMIT)

    # May it be?

    def scene(self) -> scaling.Scene:
        settings = scaling.Settings(frozenset(self.params["ignore"]), self.params["option_prefix"])
        return scaling.Scene(self.seen.sight.view, self.seen.sight.others, settings)

    def open_gates(self, what: str) -> None:
        """Until every node of all datacenters is well, nothing is streamed and nothing repaired. What was seen then
        counts.

        :raises CassopsError: it stays otherwise.
        """

        def look() -> list[str]:
            self.seen = self.look(self.seen.changed)
            return scaling.before_step(self.scene())

        limit = float(self.params[GATES_LIMIT])
        until(look, f"the gates before {what} to open", limit, self.progress, 1.0, option=GATES_LIMIT)

    def refuse_room(self, *, of_who_answers: bool = False) -> None:
        """
        :param of_who_answers: who does not is left to the gates, which wait for it and say better what is the matter.
        :raises SpecError: what comes does not fit.
        """
        scene = self.scene()
        if not self.seen.due or scaling.SPACE in scene.settings.ignore:
            return
        gained = rebuilding.gains(scene, self.source, self.seen.due, self.seen.changes)
        if of_who_answers:
            heard = {seen.address for seen in self.seen.view.observations.values()}
            gained = {address: more for address, more in gained.items() if address in heard}
        part = rebuilding.largest_part(scene, self.source)
        fewer = f"rebuild fewer keyspaces ({self.wish.prefix}keyspaces)"
        reasons = scaling.too_full(scene, gained, f"datacenter {self.source} holds", fewer, part)
        if not of_who_answers and not rebuilding.copies(scene, self.source):
            reasons.append(f"how much data the nodes of datacenter {self.source} hold could not be read")
        if reasons:
            raise SpecError(scaling.ignorable(scene, scaling.SPACE, reasons))

    def refuse_left_behind(self, *, of_who_answers: bool = False) -> None:
        """
        :param of_who_answers: see L(refuse_room).
        :raises SpecError: a keyspace that gets replicas had some before, and nodes have rows of then.
        :raises CassopsError: a node does not tell.
        """
        changes = sorted(self.seen.changes)
        pods = sorted(self.seen.sight.view.observations) if changes else []
        stats: dict[str, Mapping[str, Any]] = {}
        for pod, told in zip(pods, together(partial(self.stats, changes), pods), strict=True):
            if not isinstance(told, CassopsError):
                stats[pod] = told
            elif not of_who_answers:
                raise told
        reasons = rebuilding.left_behind(self.wish, changes, stats)
        if reasons:
            raise SpecError(reasons)

    def stats(self, keyspaces: Sequence[str], pod: str) -> Mapping[str, Any] | CassopsError:
        verbs = [["tablestats", *some] for some in nodetool.portions(keyspaces)]
        told = attempt(lambda: nodetool.run(self.cluster.kube, pod, verbs, VERB_LIMIT, check=True))
        return told if isinstance(told, CassopsError) else {key: data for one in told for key, data in one.data.items()}

    # Doing it

    def alter(self) -> None:
        """The replications; and that keyspaces are begun, of which nobody has anything.

        That is noted first: where a run is killed between the two, C(status) tells of replicas without rows.
        """
        begun = sorted({part.keyspace for part in self.seen.due if self.is_anew(part.keyspace)})
        self.write({**self.seen.noted, **dict.fromkeys(begun, self.begun())})
        self.counts = True
        if self.seen.changes:
            with self.session(min(self.seen.sight.view.observations)) as session:
                for name, options in self.seen.changes.items():
                    statement = statement_of(name, options)
                    self.cluster.check()
                    self.progress(statement, important=True)
                    session.execute(statement, timeout=superuser.LIMIT)
                    self.altered.append(statement)
            self.open_gates("rows come")
        self.seen = self.look()
        since = {name: self.begun(self.seen.changed[name].at) for name in begun if name in self.seen.changed}
        self.write({**self.seen.noted, **since})

    def begun(self, changed: int = 0) -> Note:
        """:param changed: when the keyspace was changed last."""
        return Note(changed, source=self.source).among(self.seen.identities)

    def is_anew(self, keyspace: str) -> bool:
        """Whether what is noted of it, if anything, does not count any more."""
        note = self.seen.noted.get(keyspace)
        is_changed = note is None or self.seen.changed[keyspace].is_since(note.changed)
        return is_changed or keyspace in self.seen.changes

    def one(self, part: Part, left: int) -> None:
        """:raises CassopsError: it failed, or its end is not known."""
        words = f"{part.pod}: rows of {part.keyspace} from {self.source}, {left} to go"
        self.progress(words, important=True)
        began = time.monotonic()
        self.stream(part, words)
        seconds = round(time.monotonic() - began, 1)
        self.rebuilt.append({"node": part.pod, "keyspace": part.keyspace, "seconds": seconds})
        # Another node may have gone meanwhile, or been replaced, and lack what it has streamed from.
        note = self.seen.noted.get(part.keyspace) or self.begun(self.seen.changed[part.keyspace].at)
        self.seen = self.look(self.seen.changed)
        self.write({**self.seen.noted, part.keyspace: note.with_node(part.node, self.seen.identities)})

    def stream(self, part: Part, words: str) -> None:
        """As often as it takes: Cassandra goes on with a rebuild when nobody listens any more, and nobody tells how it
        ended. So its end is waited for, and it is begun again.

        :raises CassopsError: it failed, its time was over, or its connection was lost each time.
        """
        deadline, lost = time.monotonic() + self.params[NODE_LIMIT], 0
        while True:
            self.wait_idle(part.pod, f"ready for rows of {part.keyspace}", partial(self.forget, part))
            answer = self.answer(part, words, max(1.0, deadline - time.monotonic()))
            if isinstance(answer, LOST) and lost < TURNS:
                lost += 1
                told = f"{part.pod}: {sentence(answer)} Its end is waited for, and then it is begun again"
                self.progress(told, important=True)
            elif isinstance(answer, CassopsError) and STILL in str(answer) and time.monotonic() < deadline:
                self.progress(f"{part.pod} is at another rebuild, whose end is waited for")
            else:
                break
            time.sleep(PAUSE)
        if isinstance(answer, ExecTimeout):
            raise CassopsError(
                f"{sentence(answer)} Cassandra goes on with it. Run it again, which waits for its end and begins that "
                f"part again; a larger {self.wish.prefix}{NODE_LIMIT} waits for longer."
            )
        if isinstance(answer, CassopsError):
            raise CassopsError(
                f"{part.pod} did not get all rows of keyspace {part.keyspace} from datacenter {self.source}: "
                f"{sentence(answer)} Its log tells more. See to the cause, then run it again, which goes on with this "
                "part."
            )

    def answer(self, part: Part, words: str, limit: float) -> Any:
        """What the verb answers, errors too; and how far the node is meanwhile.

        :raises CassopsError: the lock is lost. What the node does goes on then.
        """
        self.cluster.check()
        verb = ["rebuild", "-ks", part.keyspace, "--", self.source]
        done = in_background(partial(attempt, partial(nodetool.run_one, self.cluster.kube, part.pod, verb, limit)))
        stream = Stream(serves=True)
        while not done.done():
            self.cluster.check()
            wait_for(done)
            self.progress(f"{words}: {stream.look(self.cluster.kube, part.pod)}")
        return done.result()

    def wait_idle(self, pod: str, what: str, then: Callable[[], object]) -> None:
        """Until no rebuild works on a node any more.

        :param what: it is to be, for people.
        :param then: is done when it is so, in a way that can be repeated.
        :raises CassopsError: it does not answer, or does not come to an end.
        """
        heard, stream = time.monotonic(), Stream(serves=True)

        def look() -> list[str]:
            nonlocal heard
            self.cluster.check()
            told = attempt(partial(self.at_work, pod, stream))
            if told == []:
                done = attempt(then)
                told = done if isinstance(done, CassopsError) else []
            if not isinstance(told, CassopsError):
                heard = time.monotonic()
                return told
            if time.monotonic() - heard > SILENCE:
                raise CassopsError(
                    f"{pod} does not answer for {SILENCE:.0f} s: {sentence(told)} See its log, then run it again"
                )
            return [str(told)]

        limit = float(self.params[NODE_LIMIT])
        until(look, f"{pod} to be {what}", limit, self.progress, PAUSE, option=NODE_LIMIT)

    def at_work(self, pod: str, stream: Stream) -> list[str]:
        """The rebuild that works on a node: that of a run that was killed, of a connection that was lost, or of a
        person."""
        told = nodetool.run_one(self.cluster.kube, pod, ["netstats"], VERB_LIMIT).data
        sessions = [each for each in told["sessions"] if each["operation"] == rebuilding.OPERATION]
        if not sessions:
            return []
        now = time.monotonic()
        stream.take({**told, "sessions": sessions}, now)
        return [f"a rebuild works on it, {stream.words(now)}"]

    def forget(self, part: Part) -> None:
        with self.session(part.pod) as session:
            session.execute(FORGET, (part.keyspace,))

    def wait_for_rebuilds(self) -> None:
        """What a run that was killed has left at work ends by itself; no gate opens before."""
        for pod in rebuilding.rebuilds(self.seen.sight.view):
            self.wait_idle(pod, "done with the rebuild that works on it", lambda: None)

    def write(self, noted: Mapping[str, Note]) -> None:
        """Note it, where that differs from what is noted."""
        own, text = self.cluster.own, rebuilding.text_of(noted)
        if text != noted_in(own):
            self.cluster.check()
            patch = {"metadata": {"annotations": {rebuilding.REBUILT: text}}}
            own.kube.patch("ConfigMap", ledger_name(own.cluster, own.datacenter), patch)
        self.seen = replace(self.seen, noted=noted)

    # For people

    def progress(self, text: str, *, important: bool = False) -> None:
        self.ctx.progress(text.replace(f"{self.cluster.name}-{self.cluster.own.datacenter}-", ""), important=important)

    def result(self) -> dict[str, Any]:
        told = [(statement_of(name, old), statement_of(name, new)) for name, (old, new) in self.replications.items()]
        altered = [new for _old, new in told] if self.ctx.check_mode else self.altered
        left = [part for part in self.seen.due if not self.has_done(part)]
        result: dict[str, Any] = {
            "changed": bool(altered or self.rebuilt or (self.ctx.check_mode and left)),
            "source": self.source,
            "keyspaces": sorted({*self.names, *self.seen.names}),
            "altered": altered,
            "rebuilt": self.rebuilt,
            "due": [{"node": part.pod, "keyspace": part.keyspace} for part in left],
            "left_out": rebuilding.left_out(self.seen.view, self.wish),
        }
        if self.ctx.diff_mode:
            before, after = ("".join(f"{each[side]};\n" for each in told) for side in (0, 1))
            header = {"before_header": "schema", "after_header": "schema"}
            result["diff"] = {**header, "before": before, "after": after}
        return result

    def has_done(self, part: Part) -> bool:
        return any((each["node"], each["keyspace"]) == (part.pod, part.keyspace) for each in self.rebuilt)


def notes_of(place: Place, sight: Sight) -> dict[str, Note]:
    """What is noted and counts."""
    return rebuilding.of_now(rebuilding.notes(departed.noted(place, sight.found, rebuilding.REBUILT)), sight.view)


def noted_in(place: Place) -> str | None:
    """What the ledger's ConfigMap has noted."""
    metadata = (place.kube.get("ConfigMap", ledger_name(place.cluster, place.datacenter)) or {}).get("metadata", {})
    text: str | None = (metadata.get("annotations") or {}).get(rebuilding.REBUILT)
    return text


def statement_of(keyspace: str, replication: Mapping[str, str]) -> str:
    return superuser.replication_statement(cql.identifier(keyspace), replication)


def sentence(error: CassopsError) -> str:
    """What it says, with a full stop."""
    return f"{str(error).rstrip('.')}."
