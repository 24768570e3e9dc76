"""A gRPC client for specs: grpc_client.py PORT COMMAND; prints what it got, one line each."""
import queue
import sys

import grpc


def same(message):
    return message


def call(kind, name):
    return getattr(channel, kind)("/demo.Echo/" + name, request_serializer=same, response_deserializer=same)


def text(code):
    return code.name


def unary(message, **options):
    try:
        answer, info = call("unary_unary", "Unary").with_call(message, **options)
        trailers = dict(info.trailing_metadata())
        print(answer.decode(), trailers.get("x-trail"), trailers.get("x-seen"))
    except grpc.RpcError as error:
        print(text(error.code()), error.details())


def ping_pong():
    out = queue.Queue()
    answers = call("stream_stream", "Both")(iter(out.get, None), timeout=20)
    for i in range(4):  # each message only after the answer to the one before
        out.put(b"%d" % i)
        print(next(answers).decode())
    out.put(None)
    print(len(list(answers)))


COMMANDS = {
    "unary": lambda: unary(b"hi", timeout=20, metadata=(("x-sent", "1"),)),
    "fail": lambda: unary(b"fail", timeout=20),
    "plain": lambda: unary(b"hi", timeout=20),
    "deadline": lambda: unary(b"slow", timeout=1),
    "down": lambda: print(b" ".join(call("unary_stream", "Down")(b"x", timeout=20)).decode()),
    "up": lambda: print(call("stream_unary", "Up")(iter([b"a" * 100000] * 50), timeout=20).decode()),
    "both": ping_pong,
    "many": lambda: print(sum(f.result() == b"echo:%d" % i for i, f in enumerate(
        [call("unary_unary", "Unary").future(b"%d" % i, timeout=40) for i in range(200)]))),
}

channel = grpc.insecure_channel("127.0.0.1:" + sys.argv[1])
COMMANDS[sys.argv[2]]()
