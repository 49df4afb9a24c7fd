"""llama.cpp's own HTTP server, out of the package xllamacpp, with those flags of `llama-server` that the tests use."""

import argparse
import signal
import sys
import time

import xllamacpp

parser = argparse.ArgumentParser()
parser.add_argument("-m", required=True)
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--parallel", type=int, default=1)
parser.add_argument("-c", type=int, default=2048)
parser.add_argument("-b", type=int, default=64)
arguments = parser.parse_args()

parameters = xllamacpp.CommonParams()
parameters.model.path = arguments.m
parameters.hostnames = ["127.0.0.1"]
parameters.port = arguments.port
parameters.n_parallel = arguments.parallel
parameters.n_ctx = arguments.c
parameters.n_batch = arguments.b
parameters.n_ubatch = arguments.b
parameters.endpoint_metrics = True
parameters.endpoint_slots = True
parameters.ui = False
parameters.cpuparams.n_threads = 1
parameters.cpuparams_batch.n_threads = 1
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
server = xllamacpp.Server(parameters)
print("listening", server.listening_address, flush=True)
while True:
    time.sleep(0.2)
