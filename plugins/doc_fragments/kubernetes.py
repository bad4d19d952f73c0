# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # How to reach the Kubernetes API.
    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - The kubeconfig, as a path or as a mapping.
      - Several paths may be joined with V(:), as in E(KUBECONFIG).
      - Without it, E(K8S_AUTH_KUBECONFIG), E(KUBECONFIG), V(~/.kube/config) and the service account of the pod that
        Ansible runs in are tried, in this order.
      - The text of a kubeconfig is taken as well.
    type: raw
  context:
    description:
      - The context of the kubeconfig. Default is its current one. E(K8S_AUTH_CONTEXT) is the same.
    type: str
  namespace:
    description:
      - The namespace of the datacenter. Default is that of the context, else V(default). E(K8S_AUTH_NAMESPACE) is the
        same.
    type: str
  host:
    description:
      - Address of the API server, for example V(https://10.0.0.1:6443). Given without O(kubeconfig) and O(context), no
        kubeconfig is read. E(K8S_AUTH_HOST) is the same.
    type: str
  api_key:
    description:
      - A bearer token. E(K8S_AUTH_API_KEY) is the same.
    type: str
  username:
    description:
      - User for an API server or a proxy before it that takes basic authentication. E(K8S_AUTH_USERNAME) is the same.
    type: str
  password:
    description:
      - The password of O(username). E(K8S_AUTH_PASSWORD) is the same.
    type: str
  validate_certs:
    description:
      - Whether to verify the API server's certificate. Default is what the kubeconfig says, else V(true).
        E(K8S_AUTH_VERIFY_SSL) is the same.
    type: bool
  ca_cert:
    description:
      - File with the certificates of authorities to trust. E(K8S_AUTH_SSL_CA_CERT) is the same.
    type: path
  client_cert:
    description:
      - File with a client certificate. E(K8S_AUTH_CERT_FILE) is the same.
    type: path
  client_key:
    description:
      - File with the key of O(client_cert). E(K8S_AUTH_KEY_FILE) is the same.
    type: path
  tls_server_name:
    description:
      - The name to expect in the API server's certificate, where it is not that of the address.
        E(K8S_AUTH_TLS_SERVER_NAME) is the same.
    type: str
  proxy:
    description:
      - URL of a proxy between here and the API server. Default is that of the kubeconfig, else of the environment.
        E(K8S_AUTH_PROXY) is the same.
    type: str
  no_proxy:
    description:
      - Names and networks, joined with commas, that are reached without the environment's proxy.
        E(K8S_AUTH_NO_PROXY) is the same.
    type: str
  impersonate_user:
    description:
      - Act as this user. E(K8S_AUTH_IMPERSONATE_USER) is the same.
    type: str
  impersonate_groups:
    description:
      - Act as a member of these groups. E(K8S_AUTH_IMPERSONATE_GROUPS) is the same, joined with commas.
    type: list
    elements: str
requirements:
  - python >= 3.10
  - kubernetes >= 29.0.0
"""

    # Which datacenter.
    DATACENTER = r"""
options:
  cluster:
    description:
      - Name of the Cassandra cluster, as in C(cassandra_cluster).
    type: str
    required: true
  datacenter:
    description:
      - Name of the datacenter, as in C(cassandra_datacenter).
    type: str
    required: true
"""

    # Which nodes of a datacenter.
    SELECTION = r"""
options:
  cluster:
    description:
      - Name of the Cassandra cluster, as in C(cassandra_cluster).
    type: str
    required: true
  datacenter:
    description:
      - Name of the datacenter, as in C(cassandra_datacenter).
    type: str
    required: true
  racks:
    description:
      - Only the nodes of these racks.
      - A rack that has no nodes is an error.
    type: list
    elements: str
  nodes:
    description:
      - Only these nodes, by the names of their pods.
      - A node that does not exist is an error.
      - With O(racks) too, the nodes must be in them.
    type: list
    elements: str
"""

    # The other datacenters of a cluster.
    PEERS = r"""
options:
  peers:
    description:
      - The other datacenters of the same cluster. Their namespaces are locked too.
    type: list
    elements: dict
    default: []
    suboptions:
      datacenter:
        description: Name of the other datacenter.
        type: str
        required: true
      superuser_secret:
        description:
          - Name of the Secret with the login for the nodes of the other datacenter. Default is the name of this one's.
            The role and its password are those of the whole cluster.
        type: str
      kubeconfig:
        description: As O(kubeconfig), for the other datacenter.
        type: raw
      context:
        description: As O(context), for the other datacenter.
        type: str
      namespace:
        description: As O(namespace), for the other datacenter.
        type: str
      host:
        description: As O(host), for the other datacenter.
        type: str
      api_key:
        description: As O(api_key), for the other datacenter.
        type: str
      username:
        description: As O(username), for the other datacenter.
        type: str
      password:
        description: As O(password), for the other datacenter.
        type: str
      validate_certs:
        description: As O(validate_certs), for the other datacenter.
        type: bool
      ca_cert:
        description: As O(ca_cert), for the other datacenter.
        type: path
      client_cert:
        description: As O(client_cert), for the other datacenter.
        type: path
      client_key:
        description: As O(client_key), for the other datacenter.
        type: path
      tls_server_name:
        description: As O(tls_server_name), for the other datacenter.
        type: str
      proxy:
        description: As O(proxy), for the other datacenter.
        type: str
      no_proxy:
        description: As O(no_proxy), for the other datacenter.
        type: str
      impersonate_user:
        description: As O(impersonate_user), for the other datacenter.
        type: str
      impersonate_groups:
        description: As O(impersonate_groups), for the other datacenter.
        type: list
        elements: str
"""
