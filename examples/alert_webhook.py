"""Receives Alertmanager's webhooks and names the trace that an alert is about. deploy/prometheus/alertmanager.yml sends them here.

    FUSEBOX_URL=http://127.0.0.1:4318 python examples/alert_webhook.py          # listens on 127.0.0.1:9094; another port as argument
"""

import http.server
import json
import os
import sys
import urllib.parse
import urllib.request

FUSEBOX = os.environ.get("FUSEBOX_URL", "http://127.0.0.1:4318")
# The API's filter for each label that says what an alert is about, and for each alert what its spans have in common.
FILTERS = {"service_name": "service", "tool": "tool", "workflow": "workflow", "model": "model"}
CONDITIONS = {"AgentToolTimeouts": {"outcome": "timeout"}, "AgentBreakerOpened": {"breaker": "open"}, "AgentPrefillBreach": {"outcome": "timeout"}}


def trace_of(alert):
    """The newest trace that the alert's labels describe; None where there is none."""
    query = {FILTERS[name]: value for name, value in alert["labels"].items() if name in FILTERS}
    if not query:
        return None
    query.update(CONDITIONS.get(alert["labels"].get("alertname"), {}), limit=1)
    request = urllib.request.Request(f"{FUSEBOX}/api/traces?{urllib.parse.urlencode(query)}")
    if os.environ.get("FUSEBOX_TOKEN"):
        request.add_header("Authorization", f"Bearer {os.environ['FUSEBOX_TOKEN']}")
    with urllib.request.urlopen(request, timeout=10) as answer:
        traces = json.load(answer)["traces"]
    return traces[0] if traces else None


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        for alert in body["alerts"]:
            line = f"{alert['status']} {alert['labels'].get('alertname')}: {alert.get('annotations', {}).get('summary', '')}"
            trace = trace_of(alert) if alert["status"] == "firing" else None
            print(line + (f"  {FUSEBOX}/#/trace/{trace['trace_id']}" if trace else ""), flush=True)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 9094), Receiver)
print(f"listens on 127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
