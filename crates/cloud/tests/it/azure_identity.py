"""What azure-identity makes of environments: cases on standard input, answers on output.

Nobody is asked for a token: the credential that would ask first is the answer.
"""

import json
import logging
import os
import sys
import warnings

from azure.identity import DefaultAzureCredential, ManagedIdentityCredential

logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")


def managed(credential):
    inner = credential._credential
    if inner is None:
        return {"source": "none"}
    return {"source": type(inner).__name__}


def first(chain):
    for credential in chain.credentials:
        name = type(credential).__name__
        if name == "EnvironmentCredential":
            if credential._credential is not None:
                return {"source": type(credential._credential).__name__}
        elif name == "WorkloadIdentityCredential":
            return {"source": name}
        elif name == "ManagedIdentityCredential":
            return managed(credential)
    return {"source": "none"}


for line in sys.stdin:
    case = json.loads(line)
    prefixes = ("AZURE_", "MSI_", "IDENTITY_", "IMDS_")
    for name in [name for name in os.environ if name.startswith(prefixes)]:
        del os.environ[name]
    os.environ.update(case["environment"])
    try:
        if case["kind"] == "managed-identity":
            client_id = case["environment"].get("AZURE_CLIENT_ID")
            answer = managed(ManagedIdentityCredential(client_id=client_id))
        else:
            answer = first(DefaultAzureCredential())
    except Exception as error:
        answer = {"error": str(error)}
    print(json.dumps(answer))
