// Says of each request whether the Standard Webhooks library for JavaScript takes it.

const { readFileSync } = require("node:fs");
const { isDeepStrictEqual } = require("node:util");
const { Webhook, WebhookVerificationError } = require("standardwebhooks");

function takes({ secret, id, timestamp, signature, body }) {
  const headers = { "webhook-id": id, "webhook-timestamp": String(timestamp), "webhook-signature": signature };
  try {
    return isDeepStrictEqual(new Webhook(secret).verify(Buffer.from(body), headers), JSON.parse(body));
  } catch (error) {
    if (error instanceof WebhookVerificationError) return false;
    throw error;
  }
}

console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(takes)));
