#!/usr/bin/env python3
"""Breaks a running server in four ways and reports what its clients saw.

    scripts/fault_driver.py [--binary target/release/mcp-server] [--only kill,stop,cut,disk]
                            [--rounds 20] [--json report.json]

kill   kill -9 in the middle of writes, again and again: every acknowledged write is there after
       the restart, and the server answers again within a second
stop   SIGSTOP for two seconds (a machine that hangs), then SIGCONT: what was asked meanwhile is
       answered, and nothing that was acknowledged is lost
cut    clients that leave in the middle of a head, a body or an answer: others are served, and no
       descriptor stays open
disk   the disk fills up: writes are refused with an error that says so, reads go on, and writes go
       on when there is room again (as root, on a small file system in memory; skipped elsewhere)

Every call must be answered well, or refused with an error that says that it may be repeated; 99.9 %
of them at least, those excepted that a kill cut off. Ends with 0 when all of that holds, 1 when it
does not, 2 when it could not be tried. Needs nothing but Python 3.9.
"""

import argparse
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

READY_SECONDS = 30.0
CALL_SECONDS = 15.0
# What a client may be told; anything else is a fault of the server's.
DECLARED = {"overloaded", "unavailable", "timeout", "outcome_unknown", "index_not_ready"}
SHARE_MIN = 0.999
WRITERS = 4


class Fault(Exception):
    """Something that must hold does not."""


class Skipped(Exception):
    """It cannot be tried here."""


class Server:
    """A server on data that outlives it."""

    def __init__(self, binary, data):
        self.binary, self.data = binary, data
        self.process, self.port = None, None

    def start(self):
        """Starts it and returns after how many seconds it was ready."""
        began = time.monotonic()
        arguments = ["serve", "--listen", "127.0.0.1:0", "--data-dir", str(self.data)]
        # An open breaker tries again after a minute, by default.
        settings = {"MCP_SERVER__MEMORY__CIRCUIT_BREAKER__TIMEOUT": "1s"}
        self.process = subprocess.Popen([str(self.binary), *arguments], text=True,
                                        stderr=subprocess.PIPE, env={**os.environ, **settings})
        lines = []
        for line in self.process.stderr:
            lines.append(line)
            if found := re.search(r"ready: http://127\.0\.0\.1:(\d+)/mcp", line):
                self.port = int(found[1])
                break
        else:
            raise Fault("the server does not start: " + " | ".join(lines[-3:]))
        # Or it would stop when the pipe is full.
        threading.Thread(target=self.process.stderr.read, daemon=True).start()
        while time.monotonic() - began < READY_SECONDS:
            if self.get("/readyz") == 200:
                return time.monotonic() - began
            time.sleep(0.005)
        raise Fault("the server does not get ready")

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=CALL_SECONDS)
        with contextlib.closing(connection):
            try:
                connection.request("GET", path)
                return connection.getresponse().status
            except OSError:
                return None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Asks it to end; whether it did, and well."""
        self.process.terminate()
        try:
            return self.process.wait(CALL_SECONDS * 2) == 0
        except subprocess.TimeoutExpired:
            self.kill()
            return False

    def open_files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


class Client:
    """Calls tools on one connection, and counts what came of it."""

    def __init__(self, port, seen):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=CALL_SECONDS)
        self.seen = seen

    def call(self, tool, arguments):
        """The result; None when it was refused as it may be, or cut off."""
        meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
                "io.modelcontextprotocol/clientInfo": {"name": "fault-driver", "version": "1"}}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
            "name": tool, "arguments": arguments, "_meta": meta}})
        headers = {"Content-Type": "application/json",
                   "Accept": "application/json, text/event-stream",
                   "Mcp-Protocol-Version": "2026-07-28",
                   "Mcp-Method": "tools/call", "Mcp-Name": tool}
        try:
            self.connection.request("POST", "/mcp", body, headers)
            answer = json.loads(self.connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError):
            self.connection.close()
            self.seen.count("cut off")
            return None
        result = answer.get("result", {})
        if "error" not in answer and not result.get("isError"):
            self.seen.count("answered")
            return result["structuredContent"]
        error = answer.get("error", {}).get("data") or result.get("_meta", {}).get("error") or {}
        code = error.get("code", "unknown")
        self.seen.count("declared" if code in DECLARED else f"wrong: {code}")
        return None


class Seen:
    """What came of calls, by kind."""

    def __init__(self):
        self.counts, self.lock = {}, threading.Lock()

    def count(self, kind):
        with self.lock:
            self.counts[kind] = self.counts.get(kind, 0) + 1

    def number(self, kind):
        return self.counts.get(kind, 0)

    def share(self):
        """Calls that were answered well or refused as they may be, of those not cut off."""
        good = self.number("answered") + self.number("declared")
        all_of_them = sum(self.counts.values()) - self.number("cut off")
        return good / all_of_them if all_of_them else 0.0


@contextlib.contextmanager
def writers(server, seen, number=WRITERS):
    """Clients that write as fast as they can; yields what was acknowledged."""
    acknowledged, end = {}, threading.Event()

    def work(writer):
        client, place = Client(server.port, seen), 0
        while not end.is_set():
            text = f"written by {writer} as number {place}"
            added = client.call("memory_add", {"content": text})
            place += 1
            if added:
                acknowledged[added["id"]] = text
            elif seen.number("cut off"):
                # Nobody is there.
                end.wait(0.05)

    threads = [threading.Thread(target=work, args=(writer,)) for writer in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield acknowledged
    finally:
        end.set()
        for thread in threads:
            thread.join()


def all_there(server, acknowledged):
    """Fails unless each acknowledged memory is there, with its text."""
    seen = Seen()
    client = Client(server.port, seen)
    for memory, text in acknowledged.items():
        read = client.call("memory_get", {"id": memory})
        # A disk may pause for longer than a call may take.
        for _ in range(20):
            if read or not seen.number("declared"):
                break
            time.sleep(0.1)
            read = client.call("memory_get", {"id": memory})
        if not read or read["content"] != text:
            raise Fault(f"the acknowledged memory {memory} is lost: {seen.counts}")


def holds(holding, what):
    if not holding:
        raise Fault(what)


def kill(binary, folder, rounds):
    server, seen, acknowledged, restarts = Server(binary, folder / "kill"), Seen(), {}, []
    server.start()
    for number in range(rounds):
        with writers(server, seen) as written:
            # Another moment each time.
            time.sleep(0.05 + 0.013 * number)
            server.kill()
        acknowledged.update(written)
        restarts.append(server.start())
    try:
        all_there(server, acknowledged)
    finally:
        server.stop()
    restarts.sort()
    median = restarts[len(restarts) // 2]
    holds(acknowledged, "nothing was acknowledged")
    holds(median < 1.0, f"a restart takes {median:.2f} s")
    return seen, {"kills": rounds, "acknowledged writes": len(acknowledged), "lost": 0,
                  "restart, median ms": round(median * 1000),
                  "restart, longest ms": round(restarts[-1] * 1000)}


def stop(binary, folder, _):
    server, seen = Server(binary, folder / "stop"), Seen()
    server.start()
    try:
        with writers(server, seen) as acknowledged:
            time.sleep(0.5)
            before = len(acknowledged)
            server.process.send_signal(signal.SIGSTOP)
            time.sleep(2.0)
            server.process.send_signal(signal.SIGCONT)
            deadline = time.monotonic() + CALL_SECONDS
            while len(acknowledged) < before + 50 and time.monotonic() < deadline:
                time.sleep(0.05)
            after = len(acknowledged)
        all_there(server, acknowledged)
    finally:
        server.stop()
    holds(before > 0 and after >= before + 50, "writes do not go on after the pause")
    holds(seen.number("cut off") == 0, "a pause cut calls off")
    return seen, {"seconds stopped": 2, "acknowledged writes": len(acknowledged), "lost": 0}


def cut(binary, folder, rounds):
    server, seen = Server(binary, folder / "cut"), Seen()
    server.start()
    try:
        steady = Client(server.port, seen)
        holds(steady.call("memory_add", {"content": "before the cuts"}), "no call goes through")
        before = server.open_files()
        head = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        parts = [b"", head, head + b"Content-Length: 500\r\n\r\n{\"jsonrpc\"",
                 b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"]
        cuts = rounds * 20
        for number in range(cuts):
            with socket.create_connection(("127.0.0.1", server.port)) as client:
                client.sendall(parts[number % len(parts)])
                if number % 2:
                    # A reset in place of a good-bye.
                    linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            if number % 10 == 0:
                steady.call("memory_search", {"query": "cuts"})
        deadline = time.monotonic() + 5.0
        while server.open_files() > before and time.monotonic() < deadline:
            time.sleep(0.05)
        after = server.open_files()
    finally:
        ended = server.stop()
    holds(after <= before, f"{after - before} descriptors are left of {cuts} connections")
    holds(seen.number("cut off") == 0, "who was not cut was cut off")
    holds(ended, "the server does not end well")
    return seen, {"connections cut": cuts, "descriptors before": before, "after": after}


def disk(binary, folder, _):
    if os.geteuid() != 0:
        raise Skipped("only root can make a small file system")
    place = folder / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(place)],
                             stderr=subprocess.PIPE, check=False)
    if mounted.returncode != 0:
        raise Skipped("no file system can be mounted here")
    server, seen = Server(binary, place / "data"), Seen()
    try:
        server.start()
        client, filler = Client(server.port, seen), place / "filler"
        kept = client.call("memory_add", {"content": "written while there was room"})
        holds(kept, "no call goes through")
        with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(b"\0" * 65536):
                pass
        refused, text = 0, "x" * 100_000
        for number in range(200):
            refused += client.call("memory_add", {"content": f"{number} {text}"}) is None
        read = client.call("memory_get", {"id": kept["id"]})
        filler.unlink()
        deadline, again = time.monotonic() + CALL_SECONDS, None
        while not again and time.monotonic() < deadline:
            again = client.call("memory_add", {"content": "there is room again"})
        holds(refused > 0, "no write was refused on a full disk")
        holds(read, "reads do not go on")
        holds(again, "writes do not go on when there is room")
        all_there(server, {kept["id"]: "written while there was room",
                           again["id"]: "there is room again"})
        ended = server.stop()
        server.start()
        all_there(server, {kept["id"]: "written while there was room"})
    finally:
        if server.process and server.process.poll() is None:
            server.stop()
        subprocess.run(["umount", str(place)], check=False)
    holds(ended, "the server does not end well")
    return seen, {"writes refused while full": refused, "reads": "went on", "lost": 0}


FAULTS = {"kill": kill, "stop": stop, "cut": cut, "disk": disk}


def judge(name, binary, folder, rounds):
    """What came of one fault, as a line of the report."""
    try:
        seen, found = FAULTS[name](binary, folder, rounds)
        wrong = [kind for kind in seen.counts if kind.startswith("wrong")]
        if wrong or seen.share() < SHARE_MIN:
            return {"fault": name, "verdict": "FAILED", "why": f"{seen.counts}", **found}
        found["calls"] = sum(seen.counts.values())
        found["answered or declared"] = f"{seen.share():.4%}"
        return {"fault": name, "verdict": "passed", **found}
    except Skipped as skipped:
        return {"fault": name, "verdict": "skipped", "why": str(skipped)}
    except Fault as fault:
        return {"fault": name, "verdict": "FAILED", "why": str(fault)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--binary", type=pathlib.Path, default=os.environ.get(
        "MCP_SERVER_BIN", "target/release/mcp-server"))
    parser.add_argument("--only", default=",".join(FAULTS))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    names = arguments.only.split(",")
    binary = pathlib.Path(arguments.binary)
    if unknown := [name for name in names if name not in FAULTS]:
        parser.error(f"there is no fault {unknown[0]}; there are: {', '.join(FAULTS)}")
    if not binary.is_file():
        parser.error(f"{binary} is missing: cargo build --release -p mcp-server")
    report, folder = [], pathlib.Path(tempfile.mkdtemp(prefix="fault-driver-"))
    try:
        for name in names:
            report.append(judge(name, binary, folder, arguments.rounds))
            line = dict(report[-1])
            print(f"{line.pop('fault'):5} {line.pop('verdict'):8}",
                  ", ".join(f"{key}: {value}" for key, value in line.items()), flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    failed = any(line["verdict"] == "FAILED" for line in report)
    tried = any(line["verdict"] == "passed" for line in report)
    print("verdict:", "FAILED" if failed else "PASSED" if tried else "nothing was tried")
    return 1 if failed else 0 if tried else 2


if __name__ == "__main__":
    sys.exit(main())
