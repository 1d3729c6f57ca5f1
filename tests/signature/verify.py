"""Says of each request whether the Standard Webhooks library for Python takes it."""

import json
import sys

from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError


def takes(request):
    headers = {
        "webhook-id": request["id"],
        "webhook-timestamp": str(request["timestamp"]),
        "webhook-signature": request["signature"],
    }
    try:
        value = Webhook(request["secret"]).verify(request["body"].encode(), headers)
    except WebhookVerificationError:
        return False
    return value == json.loads(request["body"])


print(json.dumps([takes(request) for request in json.load(sys.stdin)]))
