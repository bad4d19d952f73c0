# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import yaml

from ansible_collections.cassops.kubernetes.plugins.module_utils import hiding

CONFIG = {
    "server_encryption_options": {"keystore": "/tls/k", "keystore_password": "pearl", "truststore_password": None},
    "client_encryption_options": {"ssl_context_factory": {"parameters": {"private_key": "MIIE", "max_retries": 3}}},
}


def test_a_configuration_is_shown_without_passwords_and_keys() -> None:
    assert hiding.hidden({"config": CONFIG, "racks": [{"name": "r1"}]}) == {
        "config": {
            "server_encryption_options": {
                "keystore": "/tls/k",
                "keystore_password": hiding.MASK,
                "truststore_password": None,
            },
            "client_encryption_options": {
                "ssl_context_factory": {"parameters": {"private_key": hiding.MASK, "max_retries": 3}}
            },
        },
        "racks": [{"name": "r1"}],
    }


def test_nor_where_it_is_a_text() -> None:
    shown = hiding.hidden(yaml.safe_dump(CONFIG))
    assert yaml.safe_load(shown.replace(hiding.MASK, "masked")) == yaml.safe_load(
        yaml.safe_dump(CONFIG).replace("pearl", "masked").replace("MIIE", "masked")
    )
    options = '"parameters": {"private_key": "-----BEGIN PRIVATE KEY-----\\nMIIE", "max_retries": 3}'
    assert hiding.hidden(options) == f'"parameters": {{"private_key": {hiding.MASK}, "max_retries": 3}}'


def test_options_of_java_and_variables_of_a_container() -> None:
    options = "-Xmx1g -Djavax.net.ssl.keyStorePassword=pearl -Dcassandra.ring_delay_ms=5000"
    shown = hiding.hidden([options, {"name": "KEYSTORE_PASSWORD", "value": "pearl"}])
    assert "pearl" not in str(shown)
    assert shown[0].endswith(f"={hiding.MASK} -Dcassandra.ring_delay_ms=5000")
    file = {"name": "RESTIC_PASSWORD_FILE", "value": "/run/password"}
    assert hiding.hidden(file) == file
