# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How to reach a Kubernetes API server, and as whom: options, environment, kubeconfig, in-cluster.

Tokens, certificates and basic authentication are read here, because importing ``kubernetes.config`` costs a third
of a second; exec plugins and authentication providers (OIDC, clouds) are left to it.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import dataclasses
import importlib.util
import ipaddress
import os
import re
import ssl
import tempfile
import threading
import time
import traceback
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from .errors import CassopsError

try:
    import yaml

    YAML_IMPORT_ERROR: str | None = None
except ImportError:
    YAML_IMPORT_ERROR = traceback.format_exc()

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"

PROXIES = ("http", "socks4", "socks4a", "socks5", "socks5h")
"""Schemes of proxies that requests and websockets can both go through."""

SOCKS: Mapping[str, str] = {"socks": "PySocks", "python_socks": "python-socks"}
"""What urllib3 and websocket-client need for SOCKS: module -> package."""

TOKEN_AGE = 60.0
"""Seconds after which a token's file is read again: bound service-account tokens are exchanged while we run."""

ENVIRONMENT: Mapping[str, str] = {
    "kubeconfig": "K8S_AUTH_KUBECONFIG",
    "context": "K8S_AUTH_CONTEXT",
    "host": "K8S_AUTH_HOST",
    "api_key": "K8S_AUTH_API_KEY",
    "username": "K8S_AUTH_USERNAME",
    "password": "K8S_AUTH_PASSWORD",
    "validate_certs": "K8S_AUTH_VERIFY_SSL",
    "ca_cert": "K8S_AUTH_SSL_CA_CERT",
    "client_cert": "K8S_AUTH_CERT_FILE",
    "client_key": "K8S_AUTH_KEY_FILE",
    "tls_server_name": "K8S_AUTH_TLS_SERVER_NAME",
    "proxy": "K8S_AUTH_PROXY",
    "no_proxy": "K8S_AUTH_NO_PROXY",
    "impersonate_user": "K8S_AUTH_IMPERSONATE_USER",
    "impersonate_groups": "K8S_AUTH_IMPERSONATE_GROUPS",
    "namespace": "K8S_AUTH_NAMESPACE",
}
"""Option -> environment variable: the names that kubernetes.core uses."""

_FILES: Mapping[str, Sequence[str]] = {
    "cluster": ("certificate-authority",),
    "user": ("client-certificate", "client-key", "tokenFile"),
}
"""Section of a kubeconfig -> its keys that name files, relative to the kubeconfig."""

Token = Callable[[], str]
"""Gives the value of the Authorization header, empty for none; called for each request."""

Refresh = Callable[[], "tuple[Token, ssl.SSLContext | None]"]
"""Gives credentials anew. With a context only where it holds another certificate than the one before."""


class KubeconfigError(CassopsError):
    """The connection options, the kubeconfig or the environment are wrong."""


@dataclasses.dataclass
class Server:
    """An API server and how to speak to it.

    :ivar host: ``https://name:port``, no slash at the end.
    :ivar origin: where this came from, for messages: `` (context "a" of /x/y)``.
    :ivar ssl_context: None for plain http.
    :ivar proxy: URL of a proxy, empty for none.
    :ivar renewals: how often credentials were replaced by others. A connection keeps the certificate that it was made
        with, so with another `ssl_context` new ones are needed.
    """

    host: str
    origin: str = ""
    token: Token = lambda: ""
    ssl_context: ssl.SSLContext | None = None
    tls_server_name: str = ""
    proxy: str = ""
    impersonation: tuple[tuple[str, str], ...] = ()
    refresh: Refresh | None = None
    renewals: int = 0
    _lock: threading.Lock = dataclasses.field(default_factory=threading.Lock, repr=False)

    @property
    def proxy_login(self) -> tuple[str, str] | None:
        """User and password of the proxy, from its URL."""
        url = urllib.parse.urlparse(self.proxy)
        if not url.username:
            return None
        return urllib.parse.unquote(url.username), urllib.parse.unquote(url.password or "")

    def headers(self) -> list[tuple[str, str]]:
        """The headers that say who asks. A name may come twice."""
        with self._lock:
            token = self.token()
        return ([("Authorization", token)] if token else []) + list(self.impersonation)

    def renew(self, known: int) -> bool:
        """Takes new credentials after a refusal. True where their source gave others, or another request has had them.

        :param known: `renewals` when the refused request was made.
        """
        if self.refresh is None:
            return False
        with self._lock:
            if self.renewals != known:
                return True
            before = self.token()
            self.token, context = self.refresh()
            given = self.token() != before or context is not None
            self.ssl_context = context or self.ssl_context
            self.renewals += given
            return given


@dataclasses.dataclass
class _Settings:
    """What was found out before TLS: every path absolute, data decoded."""

    host: str = ""
    origin: str = ""
    namespace: str = ""
    token: Token = lambda: ""
    verify: bool = True
    ca_file: str = ""
    ca_data: str = ""
    cert_file: str = ""
    key_file: str = ""
    cert_data: bytes = b""
    key_data: bytes = b""
    tls_server_name: str = ""
    proxy: str | None = None
    refresh: Refresh | None = None


def connection(options: Mapping[str, Any]) -> tuple[Server, str]:
    """The server to speak to, and the namespace.

    :param options: keys of :data:`ENVIRONMENT`; absent or None ones come from the environment.
    :raises KubeconfigError: in words.
    """
    chosen = _with_environment(options)
    settings = _base(chosen)
    _override(settings, chosen)
    host = settings.host.rstrip("/")
    if "://" not in host:
        host = "https://" + host
    proxy = settings.proxy if settings.proxy is not None else _environment_proxy(host, chosen.get("no_proxy"))
    server = Server(
        host=host,
        origin=settings.origin,
        token=settings.token,
        ssl_context=_tls(settings) if host.startswith("https:") else None,
        tls_server_name=settings.tls_server_name,
        proxy=_proxy(proxy),
        impersonation=_impersonation(chosen),
        refresh=settings.refresh,
    )
    return server, str(chosen.get("namespace") or settings.namespace or "default")


def _with_environment(options: Mapping[str, Any]) -> dict[str, Any]:
    chosen = {name: options.get(name) for name in ENVIRONMENT}
    for name, variable in ENVIRONMENT.items():
        if chosen[name] is None and os.environ.get(variable):
            chosen[name] = os.environ[variable]
    if isinstance(chosen["validate_certs"], str):
        chosen["validate_certs"] = chosen["validate_certs"].lower() not in ("0", "no", "false", "off", "n", "f")
    if isinstance(chosen["impersonate_groups"], str):
        chosen["impersonate_groups"] = [part.strip() for part in chosen["impersonate_groups"].split(",")]
    return {name: value for name, value in chosen.items() if value is not None and value != ""}


def _base(chosen: Mapping[str, Any]) -> _Settings:
    """Where to start from: the kubeconfig named, a host that is fully given, the usual kubeconfig, or the pod."""
    if chosen.get("host") and not chosen.get("kubeconfig") and not chosen.get("context"):
        return _Settings(host=str(chosen["host"]))
    config, paths = _kubeconfig(chosen.get("kubeconfig"))
    if config is not None:
        return _from_kubeconfig(config, paths, chosen.get("context"))
    if os.environ.get("KUBERNETES_SERVICE_HOST") and os.path.exists(f"{SERVICE_ACCOUNT}/token"):
        return _in_cluster()
    raise KubeconfigError(
        "No Kubernetes cluster is configured: no kubeconfig or host is given, KUBECONFIG is not set, there is no "
        "~/.kube/config, and this is not a pod. Set cassandra_kubeconfig (the option kubeconfig), or export KUBECONFIG."
    )


def _override(settings: _Settings, chosen: Mapping[str, Any]) -> None:
    """Options beat what the kubeconfig says."""
    if chosen.get("host"):
        settings.host = str(chosen["host"])
    if chosen.get("api_key"):
        bearer = _bearer(str(chosen["api_key"]), "api_key")
        settings.token, settings.refresh = (lambda: bearer), None
    elif chosen.get("username"):
        basic = _basic(str(chosen["username"]), str(chosen.get("password", "")))
        settings.token, settings.refresh = (lambda: basic), None
    if "validate_certs" in chosen:
        settings.verify = bool(chosen["validate_certs"])
    if chosen.get("ca_cert"):
        settings.ca_file, settings.ca_data = _existing(str(chosen["ca_cert"]), "ca_cert"), ""
    if chosen.get("client_cert"):
        settings.cert_file, settings.cert_data = _existing(str(chosen["client_cert"]), "client_cert"), b""
    if chosen.get("client_key"):
        settings.key_file, settings.key_data = _existing(str(chosen["client_key"]), "client_key"), b""
    if chosen.get("tls_server_name"):
        settings.tls_server_name = str(chosen["tls_server_name"])
    if chosen.get("proxy"):
        settings.proxy = str(chosen["proxy"])


# -- kubeconfig -----------------------------------------------------------------------------------------------------


def _kubeconfig(given: Any) -> tuple[dict[str, Any] | None, list[str]]:
    """The kubeconfig, several files of KUBECONFIG merged as kubectl does; None where there is none."""
    if is_content(given):
        return _parsed(given, "the kubeconfig given as text", os.getcwd()), []
    if isinstance(given, Mapping):
        return dict(given), []
    if given:
        paths = _split(str(given))
        absent = [path for path in paths if not os.path.exists(path)]
        if absent:
            raise KubeconfigError(f"The kubeconfig {absent[0]} does not exist. Check the path in cassandra_kubeconfig.")
    elif os.environ.get("KUBECONFIG"):
        named = _split(os.environ["KUBECONFIG"])
        paths = [path for path in named if os.path.exists(path)]
        if not paths:
            raise KubeconfigError(f"The kubeconfig {named[0]} does not exist. Check the path in KUBECONFIG.")
    else:
        paths = [path for path in _split("~/.kube/config") if os.path.exists(path)]
        if not paths:
            return None, []
    merged: dict[str, Any] = {}
    for path in paths:
        _merge(merged, _read(path))
    return merged, paths


def is_content(given: Any) -> bool:
    """Whether it is a file's content, as a vault or a survey gives it; JSON may be one line."""
    if given is None or isinstance(given, Mapping):
        return False
    text = str(given)
    return "\n" in text or text.lstrip().startswith("{")


def content(given: Any) -> Mapping[str, Any]:
    """A kubeconfig that is given itself, as text or as a mapping; empty where it is a file, or is none."""
    if isinstance(given, Mapping):
        return given
    with contextlib.suppress(KubeconfigError):
        return _parsed(given, "the kubeconfig given as text", os.getcwd()) if is_content(given) else {}
    return {}


def _split(paths: str) -> list[str]:
    return [os.path.abspath(os.path.expanduser(path)) for path in paths.split(os.pathsep) if path]


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            return _parsed(file.read(), path, os.path.dirname(path))
    except OSError as error:
        raise KubeconfigError(f"The kubeconfig {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise KubeconfigError(f"The kubeconfig {path} is not text.") from None


def _parsed(text: str, source: str, folder: str) -> dict[str, Any]:
    """A kubeconfig; the files that it names become absolute."""
    if YAML_IMPORT_ERROR is not None:
        raise KubeconfigError("The Python library PyYAML is missing where this task runs: pip install PyYAML")
    try:
        # libyaml takes no subclass of str, and Ansible gives one: what it knows of a text (vault, trust) is part of it.
        # The first str() is for what is none, the second for a subclass whose own one gives itself.
        config = yaml.load(str.__str__(str(text)), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError:
        # The parser's own message quotes lines of the file, and those hold secrets.
        raise KubeconfigError(f"{source} is not valid YAML.") from None
    if not isinstance(config, dict) or not {"clusters", "contexts", "users"} & set(config):
        raise KubeconfigError(f"{source} is not a kubeconfig: it has no clusters, contexts or users.")
    for section, keys in _FILES.items():
        for entry in config.get(section + "s") or ():
            body = entry.get(section) or {}
            for key in keys:
                if body.get(key):
                    body[key] = os.path.join(folder, body[key])
    return config


def _merge(into: dict[str, Any], config: Mapping[str, Any]) -> None:
    """The first to name a thing wins."""
    if config.get("current-context"):
        into.setdefault("current-context", config["current-context"])
    for section in ("clusters", "contexts", "users"):
        known = {entry["name"] for entry in into.get(section, [])}
        into.setdefault(section, []).extend(e for e in config.get(section) or () if e.get("name") not in known)


def _from_kubeconfig(config: Mapping[str, Any], paths: Sequence[str], context: str | None) -> _Settings:
    source = os.pathsep.join(paths) or "the kubeconfig given as text"
    name = context or config.get("current-context")
    contexts = {entry["name"]: entry.get("context") or {} for entry in config.get("contexts") or ()}
    there_are = "it has: " + (", ".join(sorted(contexts)) or "none")
    if not name:
        raise KubeconfigError(f"{source} names no current context, and none is given (cassandra_context); {there_are}.")
    if name not in contexts:
        raise KubeconfigError(f'There is no context "{name}" in {source}; {there_are}.')
    chosen = contexts[name]
    cluster = _entry(config, "cluster", str(chosen.get("cluster")), name, source)
    user = _entry(config, "user", str(chosen["user"]), name, source) if chosen.get("user") else {}
    if not cluster.get("server"):
        raise KubeconfigError(f'The cluster of context "{name}" in {source} has no server address.')
    settings = _Settings(
        host=str(cluster["server"]),
        origin=f' (context "{name}" of {source})',
        namespace=str(chosen.get("namespace") or ""),
        verify=not cluster.get("insecure-skip-tls-verify"),
        ca_file=str(cluster.get("certificate-authority") or ""),
        ca_data=_decoded(cluster, "certificate-authority-data", source).decode("ascii", "replace"),
        tls_server_name=str(cluster.get("tls-server-name") or ""),
        proxy=str(cluster["proxy-url"]) if cluster.get("proxy-url") else None,
    )
    if settings.ca_file and not settings.ca_data:
        _existing(settings.ca_file, f"certificate-authority in {source}")
    if user.get("exec") or user.get("auth-provider"):
        _from_library(settings, config, paths, name)
    else:
        _user(settings, user, source)
    return settings


def _entry(config: Mapping[str, Any], section: str, name: str, context: str, source: str) -> Mapping[str, Any]:
    for entry in config.get(section + "s") or ():
        if entry.get("name") == name:
            return entry.get(section) or {}
    raise KubeconfigError(f'The context "{context}" in {source} names the {section} "{name}", which is not there.')


def _user(settings: _Settings, user: Mapping[str, Any], source: str) -> None:
    """Certificates, a token, a token's file, or a name and password."""
    settings.cert_data = _decoded(user, "client-certificate-data", source)
    settings.key_data = _decoded(user, "client-key-data", source)
    if user.get("client-certificate") and not settings.cert_data:
        settings.cert_file = _existing(str(user["client-certificate"]), f"client-certificate in {source}")
    if user.get("client-key") and not settings.key_data:
        settings.key_file = _existing(str(user["client-key"]), f"client-key in {source}")
    if user.get("tokenFile"):
        file = _TokenFile(_existing(str(user["tokenFile"]), f"tokenFile in {source}"))
        settings.token, settings.refresh = file, file.again
    elif user.get("token"):
        bearer = _bearer(str(user["token"]), f"token in {source}")
        settings.token = lambda: bearer
    elif user.get("username"):
        basic = _basic(str(user["username"]), str(user.get("password") or ""))
        settings.token = lambda: basic


# Between its writing of a file and our reading of it no other thread may take its files away.
_LIBRARY = threading.Lock()


def _from_library(settings: _Settings, config: Mapping[str, Any], paths: Sequence[str], context: str) -> None:
    """Credentials that a program or a provider gives, by the kubernetes package, which also renews them."""
    try:
        from kubernetes import client as kubernetes_client
        from kubernetes import config as kubernetes_config
    except ImportError:
        raise KubeconfigError(
            f"The credentials{settings.origin} come from an exec plugin or an authentication provider, which needs "
            "the Python library kubernetes where this task runs: pip install kubernetes"
        ) from None

    # Its functions have no types.
    library: Any = kubernetes_config

    def load() -> tuple[Any, tuple[bytes, bytes]]:
        """What the library has, with certificate and key.

        It lays those of a plugin into files of its own, and takes them away when the process ends. A task is a fork,
        which ends without that before Python 3.13: the files are read and taken away here. The CA's too, which is read
        from the kubeconfig.
        """
        with _LIBRARY:
            loaded = read()
            pair = _bytes(loaded.cert_file), _bytes(loaded.key_file)
            library.kube_config._cleanup_temp_files()
        return loaded, pair

    def read() -> Any:
        loaded = kubernetes_client.Configuration()
        try:
            if paths:
                files = os.pathsep.join(paths)
                library.load_kube_config(files, context=context, client_configuration=loaded)
            else:
                library.load_kube_config_from_dict(
                    dict(config), context=context, client_configuration=loaded, persist_config=False
                )
        except (library.ConfigException, OSError, ValueError, KeyError) as error:
            raise KubeconfigError(f"The credentials{settings.origin} cannot be had: {error}") from None
        return loaded

    def token(loaded: Any) -> Token:
        def header() -> str:
            told = str((loaded.auth_settings().get("BearerToken") or {}).get("value") or "")
            return told and _bearer(told.removeprefix("Bearer "), "token of the exec plugin or provider")

        return header

    first, given_first = load()
    if not token(first)() and not first.cert_file:
        raise KubeconfigError(
            f"The credentials{settings.origin} cannot be had: the exec plugin or provider gave neither a token nor a "
            "certificate. Run kubectl with the same context to see what it says."
        )

    def again() -> tuple[Token, ssl.SSLContext | None]:
        loaded, given = load()
        # Without data it has none, or an option of the task has taken its place.
        if not (settings.cert_data and given[0]) or given == (settings.cert_data, settings.key_data):
            return token(loaded), None
        settings.cert_data, settings.key_data = given
        return token(loaded), _tls(settings)

    settings.token, settings.refresh = token(first), again
    settings.cert_data, settings.key_data = given_first


def _in_cluster() -> _Settings:
    """As the pod's service account."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    file = _TokenFile(f"{SERVICE_ACCOUNT}/token")
    namespace = ""
    with contextlib.suppress(OSError), open(f"{SERVICE_ACCOUNT}/namespace", encoding="utf-8") as text:
        namespace = text.read().strip()
    return _Settings(
        host=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        origin=" (service account of this pod)",
        namespace=namespace,
        token=file,
        refresh=file.again,
        ca_file=f"{SERVICE_ACCOUNT}/ca.crt",
    )


class _TokenFile:
    """A token in a file that somebody else renews."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._read_at = float("-inf")
        self._value = ""

    def __call__(self) -> str:
        if time.monotonic() - self._read_at > TOKEN_AGE:
            try:
                with open(self.path, encoding="utf-8") as file:
                    self._value = _bearer(file.read(), f"token file {self.path}")
            except OSError as error:
                raise KubeconfigError(f"The token {self.path} cannot be read: {error.strerror}.") from None
            self._read_at = time.monotonic()
        return self._value

    def again(self) -> tuple[Token, None]:
        """Reads the file at the next request."""
        self._read_at = float("-inf")
        return self, None


def _bearer(token: str, name: str) -> str:
    """The header for a token. A file or a secret store often puts a line end behind it.

    What cannot be in a header is refused here, without the token: the HTTP library would quote it.
    """
    token = token.strip()
    if not re.fullmatch(r"[!-~]*", token):
        raise KubeconfigError(
            f"The {name} is no token: inside of it are spaces, line ends, or characters that no token has. Give the "
            "token alone, as one word."
        )
    return "Bearer " + token


def _basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def _decoded(entry: Mapping[str, Any], key: str, source: str) -> bytes:
    try:
        return base64.b64decode(entry.get(key) or "", validate=False)
    except (binascii.Error, ValueError):
        raise KubeconfigError(f"{key} in {source} is not base64.") from None


def _bytes(path: str | None) -> bytes:
    """What is in a file; the kubernetes package lays certificates that it was given into files of its own."""
    if not path:
        return b""
    with open(path, "rb") as file:
        return file.read()


def _existing(path: str, name: str) -> str:
    path = os.path.expanduser(path)
    if not os.path.isfile(path):
        raise KubeconfigError(f"The file {path} ({name}) does not exist.")
    return path


def _impersonation(chosen: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    headers = [("Impersonate-User", str(chosen["impersonate_user"]))] if chosen.get("impersonate_user") else []
    headers += [("Impersonate-Group", str(group)) for group in chosen.get("impersonate_groups") or ()]
    return tuple(headers)


# -- TLS and proxies ------------------------------------------------------------------------------------------------


class _SharedContext(ssl.SSLContext):
    """A context that many threads connect with at once.

    urllib3 sets the application protocols of a context for each connection, and so frees them while another thread's
    handshake copies them: the API server then gets a broken greeting and answers "decode error"
    (https://github.com/python/cpython/issues/141012). Here they are set once.
    """

    @classmethod
    def make(cls) -> _SharedContext:
        """Speaks HTTP/1.1; refuses servers that it cannot verify."""
        context = cls(ssl.PROTOCOL_TLS_CLIENT)
        super(_SharedContext, context).set_alpn_protocols(["http/1.1"])
        return context

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """Nothing: they are set."""


def _tls(settings: _Settings) -> ssl.SSLContext:
    """One context for requests, exec and port-forward.

    Not C(ssl.create_default_context): in Python 3.13 it refuses CAs without an authority key identifier, and clusters
    have been made with such CAs for years.
    """
    context = _SharedContext.make()
    try:
        if settings.ca_file or settings.ca_data:
            context.load_verify_locations(cafile=settings.ca_file or None, cadata=settings.ca_data or None)
        else:
            context.load_default_certs()
    except (ssl.SSLError, OSError) as error:
        raise KubeconfigError(f"The CA certificate{settings.origin} cannot be used: {error}") from None
    # As kubectl does: a CA that is given is trusted, also where another one has signed it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.cert_file or settings.cert_data:
        certificate = _as_file(settings.cert_file, settings.cert_data)
        with certificate as cert, _as_file(settings.key_file, settings.key_data) as key:
            try:
                context.load_cert_chain(cert, key or None)
            except (ssl.SSLError, OSError) as error:
                raise KubeconfigError(f"The client certificate{settings.origin} cannot be used: {error}") from None
    return context


@contextlib.contextmanager
def _as_file(path: str, data: bytes) -> Iterator[str]:
    """A file with the data, gone afterwards: Python's ssl reads private keys from files only."""
    if not data:
        yield path
        return
    descriptor, name = tempfile.mkstemp(prefix="cassops-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        yield name
    finally:
        os.unlink(name)


def _proxy(given: str) -> str:
    """The address of a proxy with its scheme, which kubectl and curl do without.

    :raises KubeconfigError: with a scheme that commands and port-forwards cannot go through.
    """
    if not given:
        return ""
    proxy = given if "://" in given else f"http://{given}"
    scheme = urllib.parse.urlparse(proxy).scheme
    if scheme not in PROXIES:
        raise KubeconfigError(
            f"The proxy of the API server is reached by {scheme}; needed is one of {', '.join(PROXIES)}: commands in "
            "pods and port-forwards go by websockets, which take no other. See proxy-url in the kubeconfig and "
            "HTTPS_PROXY in the environment."
        )
    missing = [package for module, package in SOCKS.items() if importlib.util.find_spec(module) is None]
    if scheme.startswith("socks") and missing:
        raise KubeconfigError(
            f"The proxy of the API server is reached by {scheme}, which needs Python libraries that are not there: "
            f"pip install {' '.join(missing)}"
        )
    return proxy


def _environment_proxy(host: str, no_proxy: str | None) -> str:
    """The proxy that the environment names for this address, unless it is exempt.

    Not what macOS has in its settings, as C(getproxies) tells where the environment is silent: asking for that ends a
    process that was forked, as each task is.
    """
    proxies = urllib.request.getproxies_environment()
    address = urllib.parse.urlparse(host)
    proxy = proxies.get(address.scheme) or proxies.get("all") or ""
    exempt = no_proxy if no_proxy is not None else proxies.get("no", "")
    return "" if _exempt(address.hostname or "", exempt) else proxy


def _exempt(host: str, no_proxy: str) -> bool:
    for entry in (part.strip().lower() for part in no_proxy.split(",")):
        if not entry:
            continue
        if entry == "*" or host == entry.lstrip(".") or host.endswith("." + entry.lstrip(".")):
            return True
        with contextlib.suppress(ValueError):
            if ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False):
                return True
    return False
