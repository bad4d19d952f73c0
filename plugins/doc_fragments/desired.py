# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # The datacenter as it is wanted; spec_parser checks it.
    DOCUMENTATION = r"""
options:
  version:
    description:
      - Cassandra version, for example V(5.0.9). Supported are 4.0, 4.1 and 5.0.
    type: str
  image:
    description:
      - Container image. Default is the official image of that version.
    type: str
  racks:
    description:
      - The racks, a list of mappings.
      - C(name) (required) is the name of the rack, C(nodes) (required) its number of nodes, and C(zone) the value of
        the workers' label C(topology.kubernetes.io/zone) to which the rack is pinned (anywhere if left out).
    type: raw
  storage:
    description:
      - A mapping with C(size) (a Kubernetes quantity, required) and C(class) (a StorageClass; the cluster's default
        if left out).
    type: raw
  resources:
    description:
      - Requests and limits of a node's container, as Kubernetes writes them.
    type: raw
  heap:
    description:
      - Size of Java's heap, as a Kubernetes quantity. Default is half of the memory, at most 16Gi.
    type: str
  config:
    description:
      - Keys of cassandra.yaml. Unknown keys are refused with the nearest known one of the version; keys that the
        collection sets itself are refused with the reason.
    type: raw
  jvm_options:
    description:
      - A list of further options for Java.
    type: raw
  superuser_secret:
    description:
      - Name of the Secret with C(username) and C(password) of the superuser. It is made, with a random password of
        32 characters, where it does not exist. Default is the name of the cluster with C(-superuser).
    type: str
  pod_template:
    description:
      - Additions to the pods, in the form of a pod template. Lists of named things are merged by name.
    type: raw
  address:
    description:
      - What other nodes and clients call a node by. V(service) is the address of its own Service, which survives
        restarts and replacements; V(pod) is the pod's address. Default is V(service).
    type: str
  self_replace:
    description:
      - A known node that comes back without its storage may replace itself at once, unasked. Default is V(false).
    type: bool
  allow_shared_workers:
    description:
      - Two nodes of the datacenter may run on one worker. Default is V(false).
    type: bool
  workers_on_demand:
    description:
      - Kubernetes adds workers for pods that wait (Karpenter, GKE Autopilot, pools that grow from zero), so it is not
        checked whether those that are there can take the nodes. Default is V(false).
    type: bool
  tokens:
    description:
      - Node, such as C(r1-0), -> list of its tokens, for the first start of a datacenter that is to take the files of a
        backup as they are; all nodes, or none. Later it counts no more. By default they are planned evenly.
    type: raw
  backup:
    description:
      - Where backups go. The pods get a container with restic beside Cassandra, which sleeps until a backup or a
        restore runs something in it. Default is none.
      - A mapping with C(repository) (as restic takes it, such as C(s3:https://s3.example.com/bucket/folder), or a
        folder of a shared volume), C(password_secret) (Secret whose key C(password) encrypts the backups),
        C(credentials_secret) (Secret whose keys are restic's environment variables for the store), C(keep) (how many
        C(last), C(daily), C(weekly) and C(monthly) backups are kept; 7 last ones by default), C(bandwidth) (bytes per
        second of one node's upload, C(50Mi) by default, 0 for no limit), C(exclude_keyspaces), C(image),
        C(point_in_time) (V(true) stores the commit logs too, so that any second can be restored), and
        C(point_in_time_days) (how many days back that is, 7 by default).
      - With C(schedule) (as a CronJob of Kubernetes takes it, in UTC, such as C(15 3 * * *)) the datacenter is backed
        up, the backup verified, and what is not kept removed, by the clock. C(schedule_image) is the execution
        environment with this collection that a CronJob runs these playbooks in, C(schedule_account) the ServiceAccount
        that it has, C(cassops) by default, C(schedule_memory) what it may use at most, C(512Mi) by default, and
        C(schedule_variables) has options of the three playbooks. C(schedule_pod_template) is laid over its pods as
        O(pod_template) is over the nodes'; their container is called C(backup). It needs no restart.
      - On a datacenter that lives it is a change that waits for a restart, like every other.
    type: raw
"""
