"""A gRPC server for specs: raw bytes as messages, so that no code has to be generated. Says its port."""
import sys
import time
from concurrent import futures

import grpc


def same(message):
    return message


def unary(request, context):
    context.set_trailing_metadata((("x-trail", "yes"), ("x-seen", dict(context.invocation_metadata()).get("x-sent", "none"))))
    if request == b"fail":
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not now")
    if request == b"slow":
        time.sleep(30)
    return b"echo:" + request


def stream_down(request, context):
    for i in range(5):
        yield b"%d" % i


def stream_up(requests, context):
    return b"%d" % sum(len(m) for m in requests)


def both_ways(requests, context):
    for message in requests:
        yield b"b:" + message


KINDS = {
    "Unary": (grpc.unary_unary_rpc_method_handler, unary),
    "Down": (grpc.unary_stream_rpc_method_handler, stream_down),
    "Up": (grpc.stream_unary_rpc_method_handler, stream_up),
    "Both": (grpc.stream_stream_rpc_method_handler, both_ways),
}


class Handler(grpc.GenericRpcHandler):
    def service(self, details):
        kind = KINDS.get(details.method.split("/")[-1])
        return kind and kind[0](kind[1], same, same)


server = grpc.server(futures.ThreadPoolExecutor(16))
server.add_generic_rpc_handlers((Handler(),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
server.wait_for_termination()
