"""What google-auth makes of environments and files: cases on standard input, answers on output.

Nobody is asked for a token, and the machine is not looked for.
"""

import json
import logging
import os
import sys
import warnings

import google.auth
from google.auth import _cloud_sdk, _default

logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")


class Machine:
    pass


_default._get_gae_credentials = lambda: (None, None)
_default._get_gce_credentials = lambda request=None, quota_project_id=None: (Machine(), "p")
_default._apply_quota_project_id = lambda credentials, quota_project_id: credentials
_cloud_sdk.get_project_id = lambda: "p"
own = set(os.environ)

for line in sys.stdin:
    case = json.loads(line)
    for name in set(os.environ) - own:
        del os.environ[name]
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG"):
        os.environ.pop(name, None)
    os.environ["GOOGLE_CLOUD_PROJECT"] = "p"
    os.environ.update(case["environment"])
    for path, text in case["files"].items():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
    try:
        credentials, _ = google.auth.default()
        answer = {
            "source": type(credentials).__module__ + "." + type(credentials).__name__,
            "client_id": getattr(credentials, "client_id", None),
            "token_uri": getattr(credentials, "token_uri", None)
            or getattr(credentials, "_token_url", None),
            "universe": getattr(credentials, "universe_domain", None),
        }
    except Exception as error:
        answer = {"error": type(error).__name__ + ": " + str(error)}
    for path in case["files"]:
        os.remove(path)
    print(json.dumps(answer))
