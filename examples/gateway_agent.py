"""An agent whose model calls go through Fusebox's gateway: it needs no instrumentation, only an address.

    fusebox serve &                                            # with gateway: in fusebox.yaml, as docs/gateway.md begins
    export OPENAI_BASE_URL=http://127.0.0.1:4320/v1 MODEL=llama-3.3-70b-q4
    python3 examples/gateway_agent.py

Any client of OpenAI's API does it as well; this one needs nothing but Python. The header says which workflow asks, and the refusals of
the gateway say what to do: come again after `Retry-After`, unless `x-should-retry` says that it is in vain.
"""

import json
import os
import time
import urllib.error
import urllib.request

BASE = os.environ.get("OPENAI_BASE_URL", "http://127.0.0.1:4320/v1")
MODEL = os.environ.get("MODEL", "llama-3.3-70b-q4")


def ask(question, attempts=3):
    body = {"model": MODEL, "stream": True, "max_tokens": 64, "messages": [{"role": "user", "content": question}]}
    request = urllib.request.Request(
        BASE + "/chat/completions", json.dumps(body).encode(),
        {"Content-Type": "application/json", "x-fusebox-workflow": "forecast", "x-fusebox-step": "ask"})
    for attempt in range(1, attempts + 1):
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return "".join(tokens(answer))
        except urllib.error.HTTPError as refusal:
            error = json.load(refusal)["error"]
            if attempt == attempts or refusal.headers.get("x-should-retry") == "false" or refusal.code < 500:
                raise SystemExit(f"{error['code']}: {error['message']}") from None
            time.sleep(float(refusal.headers.get("Retry-After", 1)))


def tokens(answer):
    """The tokens of a stream, which is whole only when `[DONE]` came."""
    for line in answer:
        if not line.startswith(b"data: "):
            continue
        if line.strip() == b"data: [DONE]":
            return
        event = json.loads(line[6:])
        if "error" in event:
            raise SystemExit(f"the answer broke off: {event['error']['message']}")
        for choice in event["choices"]:
            yield choice["delta"].get("content") or ""
    raise SystemExit("the answer broke off")


if __name__ == "__main__":
    print(ask("How warm is it in Porto?"))
