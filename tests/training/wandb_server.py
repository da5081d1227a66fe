"""A W&B server on loopback, as far as a client needs one, ways to fail, and W&B's files."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = "local-" + "deadbeef" * 5


def inspect(file):
    """The records of an offline file, by W&B's own reader."""
    done = subprocess.run(
        [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(file)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"WANDB_ERROR_REPORTING": "false"},
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


class Server:
    """Answers as told, and keeps what it was sent.

    Args:
        status: Of every answer.
        delay: Seconds before each answer.
    """

    def __init__(self, status=200, delay=0.0):
        self.sent = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                length = int(self.headers.get("content-length") or 0)
                body = self.rfile.read(length)
                outer.sent.append((self.path, body))
                time.sleep(delay)
                content = json.dumps(outer.reply(self.path, body)).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = answer

            def log_message(self, *args):
                pass

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, request, client_address):
                """A client that has given up."""

        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def reply(self, path, body):
        if path != "/graphql":
            return {}
        request = json.loads(body)
        operation = request.get("operationName") or request["query"].split("(")[0].split()[-1]
        variables = request.get("variables") or {}
        project = {"id": "p", "name": "genlab", "entity": {"id": "e", "name": "me"}}
        if operation == "RunResumeStatus":
            return {"data": {"model": project | {"bucket": None}}}
        if operation == "UpsertBucket":
            bucket = {"id": "b", "name": variables["name"], "displayName": "x", "config": "{}"}
            bucket |= {"description": "", "sweepName": None, "project": project}
            bucket |= {"historyLineCount": 0, "eventsLineCount": 0, "logLineCount": 0}
            return {"data": {"upsertBucket": {"bucket": bucket, "inserted": True}}}
        if operation == "CreateRunFiles":
            files = [{"name": f, "uploadUrl": f"{self.url}/upload/{f}"} for f in variables["files"]]
            made = {"runID": "b", "uploadHeaders": [], "files": files}
            return {"data": {"createRunFiles": made}}
        return {"data": {}}

    def close(self):
        self.http.shutdown()
        self.http.server_close()


class Silent:
    """Takes connections, and never answers."""

    def __init__(self):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(64)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"

    def close(self):
        self.socket.close()


class Refusing:
    """Nobody listens there."""

    def __init__(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}"

    def close(self):
        pass
