"""A gRPC server with a health service for specs. What Check answers stands in a file, read at every call: the bytes of the message in hex, or the name of a status.
What it was asked is appended to another: the message in hex. Arguments: both files, then, for TLS, certificate and key. Says its port."""
import sys
from concurrent import futures

import grpc

answers, asked = sys.argv[1], sys.argv[2]


def check(request, context):
    with open(asked, "a") as log:
        log.write(request.hex() + "\n")
    with open(answers) as f:
        text = f.read().strip()
    if text.isupper() and hasattr(grpc.StatusCode, text):
        context.abort(grpc.StatusCode[text], "as told")
    return bytes.fromhex(text)


def echo(request, context):
    return b"echo:" + request


class Handler(grpc.GenericRpcHandler):
    def service(self, details):
        if details.method == "/grpc.health.v1.Health/Check":
            return grpc.unary_unary_rpc_method_handler(check)
        return grpc.unary_unary_rpc_method_handler(echo)


server = grpc.server(futures.ThreadPoolExecutor(4))
server.add_generic_rpc_handlers((Handler(),))
if len(sys.argv) > 4:
    pair = [open(name, "rb").read() for name in (sys.argv[4], sys.argv[3])]
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([tuple(pair)]))
else:
    port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
server.wait_for_termination()
