"""`stream_stub.py PORT`: a model server that takes a thousand streams at once. A request's `user` says what it gets: `EVENTS GAP_SECONDS`,
or `fails`."""

import asyncio
import json
import re
import socket
import sys

EVENT = b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","model":"stub","choices":[{"index":0,"delta":{"content":"w "},"finish_reason":null}]}\n\n'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def end(count):
    usage = json.dumps({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": count, "total_tokens": 7 + count}}).encode()
    stop = b'data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    return chunk(stop + b"data: " + usage + b"\n\ndata: [DONE]\n\n") + b"0\r\n\r\n"


def whole(value, status="200 OK"):
    data = json.dumps(value).encode()
    return b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status.encode(), len(data)) + data


async def serve(reader, writer):
    writer.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = re.search(rb"content-length: (\d+)", head.lower())
            if length is None:
                # Its health.
                writer.write(whole({}))
                continue
            request = json.loads(await reader.readexactly(int(length[1])))
            if request["user"] == "fails":
                writer.write(whole({"error": {"message": "it failed", "type": "server_error", "code": 500}}, "500 Internal Server Error"))
                continue
            count, gap = int(request["user"].split()[0]), float(request["user"].split()[1])
            if not request.get("stream"):
                message = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "w " * count}}
                writer.write(whole({"choices": [message], "usage": {"prompt_tokens": 7, "completion_tokens": count, "total_tokens": 7 + count}}))
                continue
            writer.write(HEAD)
            for _ in range(count):
                writer.write(chunk(EVENT))
                await writer.drain()
                if gap:
                    await asyncio.sleep(gap)
            writer.write(end(count))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main(port):
    server = await asyncio.start_server(serve, "127.0.0.1", port, backlog=2048, limit=1 << 20)
    print("listens", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
