"""A model server as a process of its own, which lives and dies as a test tells it to: `model_process.py PORT BEHAVIOUR [FOLDER]`."""

import json
import os
import pathlib
import signal
import socket
import sys
import threading
import time

import model_server as does
from model_server import ModelServer

port, behaviour = int(sys.argv[1]), sys.argv[2]
folder = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else None


def starts():
    """How often a process was started in this folder, with this one."""
    path = folder / "starts"
    with path.open("a") as file:
        file.write(f"{os.getpid()} {time.time()}\n")
    return len(path.read_text().splitlines())


print(f"{behaviour}: process {os.getpid()} at port {port}", flush=True)
count = starts() if folder else 1
if behaviour == "dies_while_loading":
    print("cannot read the model", flush=True)
    sys.exit(3)
if behaviour == "dies_twice_while_loading" and count <= 2:
    sys.exit(3)
if behaviour == "loads_in_silence":
    time.sleep(600)
if behaviour == "loads_slowly":
    # Longer than its start may take without a word.
    for percent in range(0, 100, 5):
        print(f"loading {percent} %", flush=True)
        time.sleep(0.2)
if behaviour == "ignores_sigterm":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if behaviour == "port_is_taken_once" and count == 1:
    # Somebody who is not of its group takes the port.
    if os.fork() == 0:
        os.setsid()
        other = ModelServer(port=port)
        time.sleep(20)
        os._exit(0)
    time.sleep(600)
if behaviour == "child_holds_the_port" and os.fork() > 0:
    while True:
        time.sleep(1)

server = ModelServer(port=port)
if behaviour == "hangs_behind_good_health" and count == 1:
    server.behave(does.headers_only)
    server.busy_until = time.monotonic() + 600
if behaviour == "streams":
    server.behave(does.stream(count=15, gap=0.02))
while True:
    time.sleep(1)
