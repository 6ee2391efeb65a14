"""A W&B server for tests: as much of its protocol as wandb's own client needs to upload runs and artifacts.

Everything between a training and the wire is real. The server keeps what arrives.
"""

from __future__ import annotations

import gzip
import json
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PROJECT = {"id": "p", "internalId": "p", "name": "calcium-lightning", "entity": {"id": "e", "name": "me"}}


@dataclass
class Received:
    """What has arrived.

    ``runs`` by id: ``config``, ``summary``, ``history`` (rows), and what the run was created with; ``artifacts``
    by id: name, type, aliases, metadata and the ids of runs that used it; ``views``: saved workspaces and
    reports; ``sweep``: the file of the one sweep; ``orders``: what its agent is told to run, one run at a time.
    """

    url: str = ""
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    artifacts: dict[str, dict[str, Any]] = field(default_factory=dict)
    views: list[dict[str, Any]] = field(default_factory=list)
    uploads: list[str] = field(default_factory=list)
    sweep: str = ""
    orders: list[dict[str, Any]] = field(default_factory=list)


def answer(name: str, values: dict[str, Any], received: Received) -> dict[str, Any]:
    """The data that a query or mutation gets."""
    given = values.get("input") or values
    upload = {"uploadHeaders": [], "uploadMultipartUrls": None}
    if name == "RunResumeStatus":
        run = received.runs.get(values["name"])
        return {"model": {**PROJECT, "bucket": run and _resumed(values["name"], run)}}
    if name == "UpsertBucket":
        known = values["name"] in received.runs
        run = received.runs.setdefault(values["name"], {"history": [], "summary": {}, "config": "{}"})
        run.update({key: value for key, value in values.items() if value is not None})
        bucket = {
            "id": values["name"],
            "name": values["name"],
            "displayName": run.get("displayName"),
            "config": run["config"],
            "historyLineCount": len(run["history"]),
            "project": PROJECT,
        }
        return {"upsertBucket": {"bucket": bucket, "inserted": not known}}
    if name == "CreateRunFiles":
        files = [{"name": file, "uploadUrl": f"{received.url}/file/{file}"} for file in values["files"]]
        return {"createRunFiles": {"runID": values["run"], "uploadHeaders": [], "files": files}}
    if name == "ArtifactType":
        return {"project": {"artifact": None}}
    if name == "CreateArtifact":
        identity = f"artifact-{len(received.artifacts)}"
        received.artifacts[identity] = {
            "name": given["artifactCollectionName"],
            "type": given["artifactTypeName"],
            "aliases": [item["alias"] for item in given["aliases"]],
            "metadata": json.loads(given["metadata"] or "{}"),
            "digest": given["digest"],
            "used_by": [],
        }
        sequence = {"id": "s", "latestArtifact": None}
        return {
            "createArtifact": {"artifact": {"id": identity, "state": "PENDING", "artifactSequence": sequence}}
        }
    if name == "CreateArtifactManifest":
        file = {"id": "f", "uploadUrl": f"{received.url}/file/manifest", **upload}
        return {"createArtifactManifest": {"artifactManifest": {"id": "m", "file": file}}}
    if name == "CreateArtifactFiles":
        edges = [
            {
                "node": {
                    "id": f"{index}",
                    "name": file["name"],
                    "displayName": file["name"],
                    "storagePath": None,
                    "uploadUrl": f"{received.url}/file/{file['name']}",
                    "artifact": {"id": file["artifactID"]},
                    **upload,
                }
            }
            for index, file in enumerate(given["artifactFiles"])
        ]
        return {"createArtifactFiles": {"files": {"edges": edges}}}
    if name == "CommitArtifact":
        return {"commitArtifact": {"artifact": {"id": values["artifactID"], "digest": "d"}}}
    if name == "UseArtifact":
        received.artifacts[given["artifactID"]]["used_by"].append(given["runName"])
        return {"useArtifact": {"artifact": {"id": given["artifactID"]}}}
    if name == "ArtifactByID":
        return {"artifact": _artifact(values["id"], received.artifacts[values["id"]])}
    if name == "UpsertSweep":
        received.sweep = values["config"]
        sweep = {"name": "s1", "project": PROJECT}
        return {"upsertSweep": {"sweep": sweep, "configValidationWarnings": []}}
    if name == "SweepWithRuns":
        sweep = {"id": "s", "name": "s1", "config": received.sweep, "runs": {"edges": []}}
        return {"project": {"sweep": sweep}}
    if name == "CreateAgent":
        return {"createAgent": {"agent": {"id": "a"}}}
    if name == "Heartbeat":
        busy = json.loads(values["runState"])
        commands = []
        if not busy:
            commands = [received.orders.pop(0)] if received.orders else [{"type": "exit"}]
        return {"agentHeartbeat": {"agent": {"id": "a"}, "commands": json.dumps(commands)}}
    if name == "Viewer":
        return {
            "viewer": {"id": "u", "entity": "me", "username": "me", "flags": "{}", "teams": {"edges": []}}
        }
    if name == "GetProjects":
        page = {"__typename": "PageInfo", "hasNextPage": False, "endCursor": None}
        known = {"__typename": "Project", "entityName": "me", "createdAt": "", "isBenchmark": False}
        node = {**PROJECT, **known, "user": None}
        return {"models": {"edges": [{"node": node, "cursor": "c"}], "pageInfo": page}}
    if name == "ProjectInternalId":
        return {"project": PROJECT}
    if name == "upsertView":
        received.views.append(values)
        view = {**values, "id": "v", "project": {**PROJECT, "entityName": "me"}, "updatedAt": None}
        return {"upsertView": {"view": view, "inserted": True}}
    if name == "UpsertView2":
        received.views.append(values)
        return {"upsertView": {"view": {"id": "v", "name": values.get("name")}, "inserted": True}}
    return {}


def _resumed(identity: str, run: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": identity,
        "name": identity,
        "displayName": run.get("displayName"),
        "summaryMetrics": json.dumps(run["summary"]),
        "config": run["config"],
        "historyTail": json.dumps([json.dumps(row) for row in run["history"][-1:]]),
        "eventsTail": "[]",
        "logLineCount": 0,
        "historyLineCount": len(run["history"]),
        "eventsLineCount": 0,
        "tags": [],
        "wandbConfig": '{"t":1}',
    }


def _artifact(identity: str, artifact: dict[str, Any]) -> dict[str, Any]:
    return {
        "__typename": "Artifact",
        "id": identity,
        "artifactSequence": {"__typename": "ArtifactSequence", "name": artifact["name"], "project": PROJECT},
        "versionIndex": 0,
        "artifactType": {"name": artifact["type"]},
        "description": None,
        "metadata": "{}",
        "ttlDurationSeconds": -1,
        "ttlIsInherited": False,
        "tags": [],
        "historyStep": None,
        "state": "COMMITTED",
        "size": 0,
        "digest": artifact["digest"],
        "commitHash": None,
        "fileCount": 1,
        "createdAt": "2026-01-01T00:00:00Z",
        "updatedAt": None,
    }


@contextmanager
def wandb_server():
    """Serve on a free port of this machine until the context ends; gives :class:`Received`."""
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def body(self) -> bytes:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            return gzip.decompress(data) if self.headers.get("Content-Encoding") == "gzip" else data

        def send(self, content: Any) -> None:
            data = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            self.send({})

        def do_PUT(self) -> None:
            self.body()
            received.uploads.append(self.path.removeprefix("/file/"))
            self.send({})

        def do_POST(self) -> None:
            body = self.body()
            if self.path.endswith("/graphql"):
                order = json.loads(body)
                name = re.search(r"(?:query|mutation)\s+(\w+)", order["query"])
                self.send({"data": answer(name[1] if name else "", order.get("variables") or {}, received)})
            elif self.path.endswith("/file_stream"):
                run = received.runs[self.path.split("/")[-2]]
                files = (json.loads(body) if body else {}).get("files") or {}
                if history := files.get("wandb-history.jsonl"):
                    run["history"][history["offset"] :] = [json.loads(row) for row in history["content"]]
                if summary := files.get("wandb-summary.json"):
                    run["summary"] = json.loads(summary["content"][-1])
                self.send({"exitcode": None, "limits": {}})
            else:
                self.send({})

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # clients hang up as they like
    received.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()
