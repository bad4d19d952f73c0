# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the container images and loads them into the workers' containerd.

The Cassandra images keep the contract of the official ones (user 999, paths, entrypoint, launchers); docs/sandbox.md
lists what differs. An image is a list of layers in the cache; its archive is put together while it is loaded.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import versions
from .errors import SandboxError
from .layout import SOURCE, Layout, all_images
from .process import run

if TYPE_CHECKING:
    from .worker import Worker

Say = Callable[[str], None]
SMALL = (versions.PAUSE, versions.TOOLS, versions.RESTIC)
_FILES = SOURCE / "image"
_RECIPE = "1"  # raise it when the recipe changes in a way that no file in image/ shows
_CASSANDRA_HOME = "opt/cassandra"
# How Maven calls the jar of Cassandra itself, and how its distribution does.
_OWN_JAR = ("cassandra-all-", "apache-cassandra-")
_TOOLS_IN_BIN = ("sstableloader", "sstablescrub", "sstableupgrade", "sstableutil", "sstableverify")
_TOOLS_ASIDE = (
    "sstabledump",
    "sstableexpiredblockers",
    "sstablelevelreset",
    "sstablemetadata",
    "sstableofflinerelevel",
    "sstablerepairedset",
    "sstablesplit",
)
_DEBIAN_PACKAGES = ("iproute2", "libjemalloc2", "procps", "numactl")
# Nothing at run time reads these.
_USELESS = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/i18n",
    "usr/share/lintian",
    "usr/share/perl5",
    "usr/lib/x86_64-linux-gnu/gconv",
    "var/cache",
    "var/lib/apt",
    "var/log",
    "var/lib/dpkg/info",
    "usr/share/bash-completion",
    "usr/share/icons",
    "usr/share/pixmaps",
    "usr/share/fonts",
)
_USELESS_JAVA = ("lib/server/classes_nocoops.jsa", "lib/ct.sym", "jmods", "legal", "man")


@dataclass(frozen=True)
class Entry:
    """A file of a layer that is made here. mode: as in chmod; owner: uid and gid; link: target of a symbolic link."""

    path: str
    content: bytes = b""
    mode: int = 0o644
    owner: int = 0
    link: str | None = None
    folder: bool = False


def names() -> list[str]:
    """References of the images that every worker gets."""
    rare = {versions.METRICS, *(release.name for release in versions.CASSANDRA if release.rare)}
    return [name for name in all_images() if name not in rare]


def wanted(only: tuple[str, ...] | None) -> list[str]:
    """The images to have: all, or the small ones and those named. Raises SandboxError for an unknown one."""
    if only is None:
        return names()
    for name in only:
        if name not in all_images():
            raise SandboxError(f"the sandbox has no image '{name}' (it has: {', '.join(all_images())})")
    return [*SMALL, *(name for name in only if name not in SMALL)]


def key(name: str) -> str:
    """Changes when the image's contents would."""
    sources = sorted(path for path in _FILES.rglob("*") if path.is_file())
    parts = [name.encode(), _RECIPE.encode()]
    if name.startswith("cassandra:"):
        release = _release(name)
        recipe = (release, _DEBIAN_PACKAGES, _USELESS, _USELESS_JAVA, _TOOLS_IN_BIN, _TOOLS_ASIDE, _OWN_JAR)
        parts += [
            repr(recipe).encode(),
            *(path.relative_to(_FILES).as_posix().encode() + path.read_bytes() for path in sources),
        ]
        parts += [] if release.extra is None else [repr(release.extra).encode()]
    elif name == versions.RESTIC:
        parts.append((SOURCE / "go" / "restic" / "go.sum").read_bytes())
    elif name == versions.METRICS:
        parts.append(versions.JMX_EXPORTER.encode())
    elif name == versions.PAUSE:
        parts.append((SOURCE / "go" / "pause" / "main.go").read_bytes())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def is_cached(layout: Layout, name: str) -> bool:
    """Whether the image is in the cache."""
    return _manifest(layout, name).exists()


def make(layout: Layout, name: str, programs: Path, say: Say) -> None:
    """Make one image and put it in the cache."""
    layout.images.mkdir(parents=True, exist_ok=True)
    if name == versions.PAUSE:
        pause = (programs / "pause").read_bytes()
        _finish(layout, name, [make_layer(layout, [Entry("pause", pause, 0o755)])], {"Entrypoint": ["/pause"]})
    elif name == versions.TOOLS:
        _finish(layout, name, [make_layer(layout, _busybox())], {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]})
    elif name == versions.RESTIC:
        restic = make_layer(layout, [Entry("usr/bin/restic", (programs / "restic").read_bytes(), 0o755)])
        layers = [make_layer(layout, _busybox()), restic]
        _finish(layout, name, layers, {"Entrypoint": ["/usr/bin/restic"], "Env": ["PATH=/bin:/usr/bin"]})
    elif name == versions.METRICS:
        _finish(layout, name, [make_layer(layout, _busybox()), _agent_layer(layout, say)], {"Env": ["PATH=/bin"]})
    else:
        release = _release(name)
        layers = [_base_layer(layout, release, say), _cassandra_layer(layout, release, say)]
        _finish(
            layout,
            name,
            layers,
            {
                "Entrypoint": ["docker-entrypoint.sh"],
                "Cmd": ["cassandra", "-f"],
                "WorkingDir": "/",
                "Env": [
                    "PATH=/opt/cassandra/bin:/opt/java/openjdk/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                    "JAVA_HOME=/opt/java/openjdk",
                    "CASSANDRA_HOME=/opt/cassandra",
                    "CASSANDRA_CONF=/etc/cassandra",
                    f"CASSANDRA_VERSION={release.version}",
                ],
                "ExposedPorts": {f"{port}/tcp": {} for port in (7000, 7001, 7199, 9042, 9160)},
                "Volumes": {"/var/lib/cassandra": {}},
            },
        )


def load(layout: Layout, workers: Sequence[Worker], only: tuple[str, ...] | None, say: Say) -> None:
    """Load what the workers lack; a worker remembers on its disk what it holds."""
    for name in wanted(only):
        lacking = [one for one in workers if not _mark_file(one.home, name).exists()]
        if not lacking:
            continue
        began = time.monotonic()
        for one in lacking:
            import_into(layout, layout.containerd_socket(one.name), name, one.name)
            mark(one.home, name)
        if name not in SMALL:
            say(f"images: loaded {name} on {len(lacking)} workers in {time.monotonic() - began:.1f} s")


def _mark_file(worker_home: Path, name: str) -> Path:
    return worker_home / "images" / f"{name.replace('/', '_')}@{key(name)}"


def mark(worker_home: Path, name: str) -> None:
    """Remember on a worker's disk that it holds the image."""
    file = _mark_file(worker_home, name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()


def import_into(layout: Layout, socket: Path, name: str, where: str) -> None:
    """Import an image into one containerd. where: what to call it when that fails."""
    manifest = json.loads(_manifest(layout, name).read_text(encoding="utf-8"))
    command = ["ctr", "--address", str(socket), "--namespace", "k8s.io", "images", "import", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            _write_archive(layout, name, manifest, process.stdin)
            process.stdin.close()
        except BrokenPipeError:
            pass  # ctr says below what it did not like
        said = process.stdout.read().decode(errors="replace")
    if process.returncode != 0:
        raise SandboxError(f"{name} could not be loaded on {where}: {said[-1000:]}")


def _write_archive(layout: Layout, name: str, manifest: Mapping[str, Any], stream: Any) -> None:
    """An archive as `docker save` writes it."""
    config = json.dumps(manifest["config"], sort_keys=True).encode()
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    index = json.dumps(
        [{"Config": config_name, "RepoTags": [name], "Layers": [f"{one}.tar" for one in manifest["layers"]]}]
    )
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.GNU_FORMAT) as archive:
        for member, data in ((config_name, config), ("manifest.json", index.encode())):
            info = tarfile.TarInfo(member)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for one in manifest["layers"]:
            path = _layer(layout, one)
            info = tarfile.TarInfo(f"{one}.tar")
            info.size = path.stat().st_size
            with path.open("rb") as file:
                archive.addfile(info, file)


def _release(name: str) -> versions.CassandraImage:
    for release in versions.CASSANDRA:
        if release.name == name:
            return release
    raise SandboxError(f"the sandbox has no image '{name}' (it has: {', '.join(all_images())})")


def _manifest(layout: Layout, name: str) -> Path:
    return layout.images / f"{name.replace('/', '_')}@{key(name)}.json"


def _layer(layout: Layout, layer: str) -> Path:
    return layout.images / f"{layer}.tar"


def _finish(layout: Layout, name: str, layers: list[str], config: dict[str, Any]) -> None:
    whole = {
        "architecture": "amd64",
        "os": "linux",
        "config": config,
        "history": [{} for dummy in layers],
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{one}" for one in layers]},
    }
    _manifest(layout, name).write_text(json.dumps({"config": whole, "layers": layers}), encoding="utf-8")


class _Layer:
    """Writes a layer: entries in the order given, all times zero, so that the same files give the same digest."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._path = layout.images / "layer.part"
        self._tar = tarfile.open(self._path, "w", format=tarfile.GNU_FORMAT)  # noqa: SIM115 - closed in finish()

    def add(self, entry: Entry) -> None:
        """Add one made file, link or folder."""
        info = tarfile.TarInfo(entry.path)
        info.mode, info.uid, info.gid = entry.mode, entry.owner, entry.owner
        if entry.link is not None:
            info.type, info.linkname = tarfile.SYMTYPE, entry.link
        elif entry.folder:
            info.type = tarfile.DIRTYPE
        else:
            info.size = len(entry.content)
        self._tar.addfile(info, io.BytesIO(entry.content))

    def add_tree(self, root: Path, inside: str = "") -> None:
        """Add a folder of this machine with owners and modes as they are; device files are left out."""
        for path in sorted(root.rglob("*")):
            info = self._tar.gettarinfo(path, arcname=f"{inside}{path.relative_to(root).as_posix()}")
            if info is None or info.isdev():
                continue
            info.mtime = 0
            info.uname = info.gname = ""
            if info.isreg():
                with path.open("rb") as file:
                    self._tar.addfile(info, file)
            else:
                self._tar.addfile(info)

    def finish(self) -> str:
        """Close the layer and put it in the cache under its digest, which is returned."""
        self._tar.close()
        with self._path.open("rb") as file:
            name = hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _sha256(file)
        self._path.rename(_layer(self._layout, name))
        return name


def _sha256(file: Any) -> str:
    total = hashlib.sha256()
    while block := file.read(1 << 20):
        total.update(block)
    return total.hexdigest()


def make_layer(layout: Layout, entries: Sequence[Entry]) -> str:
    """Put the entries into a layer of the cache; returns its digest."""
    layer = _Layer(layout)
    for entry in entries:
        layer.add(entry)
    return layer.finish()


def _busybox() -> list[Entry]:
    applets = run(["/bin/busybox", "--list"]).stdout.split()
    return [
        Entry("bin", mode=0o755, folder=True),
        Entry("bin/busybox", Path("/bin/busybox").read_bytes(), 0o755),
        *(Entry(f"bin/{applet}", link="busybox") for applet in applets if applet != "busybox"),
        Entry("tmp", mode=0o1777, folder=True),
    ]


def _agent_layer(layout: Layout, say: Say) -> str:
    """JMX exporter, to be copied out of /agent/."""
    say("images: JMX exporter from Maven Central")
    with tempfile.TemporaryDirectory() as folder:
        copy = ["dependency:copy", f"-Dartifact={versions.JMX_EXPORTER}", "-Dmdep.stripVersion=true"]
        run(["mvn", "-B", "-q", *copy, f"-DoutputDirectory={folder}"], cwd=Path(folder))
        (jar,) = Path(folder).glob("*.jar")
        content = jar.read_bytes()
    return make_layer(layout, [Entry("agent", mode=0o755, folder=True), Entry(f"agent/{jar.name}", content)])


def debian_mirror() -> list[str]:
    """The mirror that this machine's apt uses, as the last argument of debootstrap; empty: debootstrap's own choice."""
    listed = run(["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"], check=False).stdout.split()
    return [site for site in listed if site.rstrip("/").endswith("/debian")][:1]


def _base_layer(layout: Layout, release: versions.CassandraImage, say: Say) -> str:
    """Debian with a Java runtime, shared by all Cassandras of one Java version."""
    recipe = hashlib.sha256(repr((_RECIPE, _DEBIAN_PACKAGES, _USELESS, _USELESS_JAVA)).encode()).hexdigest()[:12]
    known = layout.images / f"base-{release.suite}-java{release.java}-{recipe}"
    if known.exists():
        return known.read_text(encoding="ascii").strip()
    say(f"images: Debian {release.suite} with Java {release.java} (about 1 min)")
    root = layout.cache / f"debootstrap-{release.suite}"
    shutil.rmtree(root, ignore_errors=True)
    packages = ",".join([f"openjdk-{release.java}-jre-headless", *_DEBIAN_PACKAGES])
    run(
        ["debootstrap", "--variant=minbase", f"--include={packages}", release.suite, str(root), *debian_mirror()],
        timeout=1200,
    )
    for path in _USELESS:
        shutil.rmtree(root / path, ignore_errors=True)
    java = f"usr/lib/jvm/java-{release.java}-openjdk-amd64"
    for path in _USELESS_JAVA:
        useless = root / java / path
        shutil.rmtree(useless, ignore_errors=True) if useless.is_dir() else useless.unlink(missing_ok=True)
    for path in ("proc", "sys", "dev"):
        shutil.rmtree(root / path, ignore_errors=True)
        (root / path).mkdir(mode=0o755)
    for file, line in (("group", "cassandra:x:999:"), ("passwd", "cassandra:x:999:999::/home/cassandra:/bin/sh")):
        with (root / "etc" / file).open("a", encoding="ascii") as text:
            text.write(line + "\n")
    for path in ("var/cache", "var/lib/apt", "var/log", "home/cassandra", "opt/java"):
        (root / path).mkdir(parents=True, exist_ok=True)
    (root / "opt/java/openjdk").symlink_to(f"/{java}")
    # The official image has it there under this name, because Cassandra looks for no other.
    (root / "usr/local/lib/libjemalloc.so").symlink_to("/usr/lib/x86_64-linux-gnu/libjemalloc.so.2")
    layer = _Layer(layout)
    layer.add_tree(root)
    name = layer.finish()
    known.write_text(name, encoding="ascii")
    shutil.rmtree(root)
    return name


_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>cassops.sandbox</groupId><artifactId>cassandra-image</artifactId><version>1</version><packaging>pom</packaging>
<dependencies><dependency><groupId>org.apache.cassandra</groupId><artifactId>cassandra-all</artifactId>
<version>{version}</version></dependency>{extra}</dependencies>
<properties><cassandra.version>{version}</cassandra.version></properties></project>
"""


_EXTRA = """<dependency><groupId>{0}</groupId><artifactId>{1}</artifactId><version>{2}</version>
<classifier>{3}</classifier><exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>
</dependency>"""


def _pom(release: versions.CassandraImage) -> str:
    return _POM.format(version=release.version, extra="" if release.extra is None else _EXTRA.format(*release.extra))


def _jar_folder(layout: Layout, release: versions.CassandraImage) -> Path:
    return layout.cache / "jars" / f"{release.version}-{hashlib.sha256(_pom(release).encode()).hexdigest()[:12]}"


def _jars(layout: Layout, release: versions.CassandraImage, say: Say) -> Path:
    folder = _jar_folder(layout, release)
    if folder.exists():
        return folder
    say(f"images: the jars of Cassandra {release.version} from Maven Central (about 20 s)")
    work = layout.cache / "jars" / f"{release.version}.part"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    (work / "pom.xml").write_text(_pom(release), encoding="utf-8")
    run(
        [
            "mvn",
            "-B",
            "-q",
            "dependency:copy-dependencies",
            "-DincludeScope=runtime",
            f"-DoutputDirectory={work / 'lib'}",
        ],
        cwd=work,
    )
    for jar in (work / "lib").glob("netty-*.jar"):
        if any(other in jar.name for other in ("-osx-", "-windows-", "-aarch_64")):
            jar.unlink()
    (work / "lib").rename(folder)
    shutil.rmtree(work)
    return folder


def _cassandra_layer(layout: Layout, release: versions.CassandraImage, say: Say) -> str:
    jars = _jars(layout, release, say)
    layer = _Layer(layout)

    def folder(path: str, mode: int = 0o755, owner: int = 0) -> None:
        layer.add(Entry(path, mode=mode, owner=owner, folder=True))

    def file(path: str, source: Path, mode: int, owner: int = 0) -> None:
        layer.add(Entry(path, source.read_bytes(), mode, owner))

    for path in (
        _CASSANDRA_HOME,
        f"{_CASSANDRA_HOME}/bin",
        f"{_CASSANDRA_HOME}/lib",
        f"{_CASSANDRA_HOME}/tools",
        f"{_CASSANDRA_HOME}/tools/bin",
    ):
        folder(path)
    for jar in sorted(jars.glob("*.jar")):
        file(f"{_CASSANDRA_HOME}/lib/{jar.name.replace(*_OWN_JAR)}", jar, 0o644)
    for script in sorted((_FILES / "bin").iterdir()):
        file(f"{_CASSANDRA_HOME}/bin/{script.name}", script, 0o755)
    for tool in _TOOLS_IN_BIN:
        layer.add(Entry(f"{_CASSANDRA_HOME}/bin/{tool}", link="tool"))
    for tool in _TOOLS_ASIDE:
        layer.add(Entry(f"{_CASSANDRA_HOME}/tools/bin/{tool}", link="../../bin/tool"))
    file("usr/local/bin/docker-entrypoint.sh", _FILES / "docker-entrypoint.sh", 0o755)
    folder("etc/cassandra", 0o1777, 999)
    for source in ("conf", f"conf-java{release.java}"):
        for conf in sorted((_FILES / source).iterdir()):
            file(f"etc/cassandra/{conf.name}", conf, 0o666, 999)
    folder("etc/cassandra/triggers", 0o777, 999)
    layer.add(Entry(f"{_CASSANDRA_HOME}/conf", link="/etc/cassandra"))
    for name, target in (("data", "var/lib/cassandra"), ("logs", "var/log/cassandra")):
        folder(target, 0o1777, 999)
        layer.add(Entry(f"{_CASSANDRA_HOME}/{name}", link=f"/{target}"))
    return layer.finish()


def prune(layout: Layout) -> None:
    """Remove from the cache what no current image is made of."""
    if not all(is_cached(layout, name) for name in names()):
        return
    current = {_manifest(layout, name) for name in all_images() if is_cached(layout, name)}
    manifests = list(layout.images.glob("*.json"))
    bases = list(layout.images.glob("base-*"))
    layers = {layer for path in current for layer in json.loads(path.read_text(encoding="utf-8"))["layers"]}
    for path in manifests:
        if path not in current:
            path.unlink()
    for path in bases:
        if path.read_text(encoding="ascii").strip() not in layers:
            path.unlink()
    for path in layout.images.glob("*.tar"):
        if path.stem not in layers:
            path.unlink()
    jars = {_jar_folder(layout, release) for release in versions.CASSANDRA}
    for path in (layout.cache / "jars").glob("*"):
        if path not in jars:
            shutil.rmtree(path)
