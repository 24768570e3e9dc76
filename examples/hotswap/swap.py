#!/usr/bin/env python3
"""Swaps examples/hotswap/scripts/greet.lua under load and counts what went wrong (nothing should).

    python3 examples/hotswap/swap.py [--port 8080] [--swaps 20] [--clients 16]

The clients keep their connections as long as the gateway does (client.requests); each swap is over when
every client has seen the new version.
A broken policy is pushed in between: the running version must stay.
"""
import argparse
import asyncio
import pathlib
import re
import sys
import time

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Load:
    def __init__(self, port, clients):
        self.port, self.clients = port, clients
        self.seen = [None] * clients
        self.requests, self.failures, self.running = 0, [], True

    async def client(self, i):
        """Requests until told to stop; anything unexpected is a failure."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            while self.running:
                await asyncio.sleep(0.002)
                writer.write(REQUEST)
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(re.search(r"(?i)content-length: *(\d+)", head).group(1))
                body = await reader.readexactly(length)
                version = re.search(r"(?i)x-version: *(\d+)", head)
                if " 200 " not in head.split("\r\n")[0] or body != b"served to the end\n" or not version:
                    raise RuntimeError(head.split("\r\n")[0])
                self.seen[i] = int(version.group(1))
                self.requests += 1
                if re.search(r"(?i)connection: *close", head):
                    writer.close()
                    reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.close()
        except Exception as error:  # pylint: disable=broad-except
            self.failures.append(f"client {i}: {error!r}")

    async def all_see(self, version, seconds=10):
        end = time.monotonic() + seconds
        while any(seen != version for seen in self.seen):
            if self.failures or time.monotonic() > end:
                raise RuntimeError(f"version {version} is not everywhere: {self.seen}; {self.failures}")
            await asyncio.sleep(0.005)


async def run(options):
    policy = pathlib.Path(options.policy)
    original = policy.read_text()
    load = Load(options.port, options.clients)
    clients = [asyncio.create_task(load.client(i)) for i in range(options.clients)]
    times, began = [], time.monotonic()
    try:
        await load.all_see(0)
        for version in range(1, options.swaps + 1):
            start = time.monotonic()
            policy.write_text(original.replace("version = 0", f"version = {version}"))
            await load.all_see(version)
            times.append((time.monotonic() - start) * 1000)
        policy.write_text("this is not Lua\n")
        await asyncio.sleep(0.5)  # time enough to be refused
        await load.all_see(options.swaps)
    finally:
        policy.write_text(original)
        load.running = False
        await asyncio.gather(*clients)
    for failure in load.failures:
        print(failure)
    times.sort()
    rate = load.requests / (time.monotonic() - began)
    print(f"{options.swaps} swaps, 1 broken policy refused, {load.requests} requests ({rate:.0f}/s) on "
          f"{options.clients} connections, {len(load.failures)} failures")
    print(f"saved file to new version everywhere: median {times[len(times) // 2]:.0f} ms, longest {times[-1]:.0f} ms")
    return 1 if load.failures else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--swaps", type=int, default=20)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--policy", default=str(pathlib.Path(__file__).parent / "scripts" / "greet.lua"))
    sys.exit(asyncio.run(run(parser.parse_args())))


main()
