"""What botocore makes of environments and AWS files: cases on standard input, answers on output.

Nobody is asked for credentials: where a provider would ask, its name is the answer.
"""

import json
import os
import sys

import botocore.session
from botocore import credentials
from botocore.configprovider import ConfiguredEndpointProvider
from botocore.utils import validate_region_name


class Asked:
    """Credentials that somebody would have to be asked for."""

    access_key = secret_key = token = None

    def __init__(self, method):
        self.method = method


def only_name(provider, is_there):
    provider.load = lambda self: Asked(self.METHOD) if is_there(self) else None


only_name(
    credentials.ContainerProvider,
    lambda self: self.ENV_VAR in os.environ or self.ENV_VAR_FULL in os.environ,
)
only_name(credentials.InstanceMetadataProvider, lambda self: True)
only_name(
    credentials.ProcessProvider,
    lambda self: self._credential_process is not None,
)


def endpoint(session):
    if session.get_config_variable("ignore_configured_endpoint_urls"):
        return None
    return ConfiguredEndpointProvider(
        session.full_config, session.get_scoped_config(), "s3"
    ).provide()


def resolve(case):
    for name in ("config", "credentials"):
        with open(os.path.join(case["home"], ".aws", name), "w") as file:
            file.write(case[name])
    os.environ.clear()
    os.environ.update(case["environment"], HOME=case["home"])
    session = botocore.session.Session(profile=case["profile"])
    region = session.get_config_variable("region")
    validate_region_name(region)
    block = session.get_scoped_config().get("s3")
    answer = {
        "region": region,
        "ca_bundle": session.get_config_variable("ca_bundle"),
        "endpoint": endpoint(session),
        "style": block.get("addressing_style") if isinstance(block, dict) else None,
    }
    found = credentials.create_credential_resolver(session).load_credentials()
    answer["method"] = found.method
    if found.method in ("env", "shared-credentials-file", "config-file"):
        answer["keys"] = [found.access_key, found.secret_key, found.token or None]
    return answer


for line in sys.stdin:
    try:
        answer = resolve(json.loads(line))
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer))
