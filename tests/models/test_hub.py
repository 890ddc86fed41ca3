"""A hub model that cannot be had: one line that says why, and what to download where. The hub is a small one, here."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from huggingface_hub.errors import LocalEntryNotFoundError

from ablate.models.hub import unavailable

COMMIT = "0123456789abcdef0123456789abcdef01234567"
# What the hub answers, by the model that is asked for: status and the header that its client looks at.
ANSWERS = {
    "gated": (403, "GatedRepo"),
    "absent": (401, "RepoNotFound"),
    "other-commit": (404, "RevisionNotFound"),
}
ASK = """
import json, sys
from ablate.config.errors import ConfigError
from ablate.models.files import check_files, full_name, read_config
for name in json.loads(sys.argv[1]):
    try:
        read_config(name, None if "latest" in name else "REVISION", "model.llava")
        check_files(name, None if "latest" in name else "REVISION", "model.llava")
        print(json.dumps(full_name(name, None)))
    except ConfigError as error:
        print(json.dumps(str(error)))
""".replace("REVISION", COMMIT)


class Hub(BaseHTTPRequestHandler):
    def do_HEAD(self):
        owner_and_name = self.path.split("/")[2]
        status, code = ANSWERS[owner_and_name]
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self):
        self.do_HEAD()

    def log_message(self, *_):
        pass


def asked(names, cache, **environment):
    command = [sys.executable, "-c", ASK, json.dumps(names)]
    found = subprocess.run(
        command,
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "HF_HUB_CACHE": str(cache), **environment},
    )
    return dict(zip(names, map(json.loads, found.stdout.splitlines()), strict=True))


def cached(cache, name, *files):
    folder = cache / f"models--{name.replace('/', '--')}"
    place = folder / "snapshots" / COMMIT
    place.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(COMMIT)
    for file in files:
        (place / file).write_text(
            '{"weight_map": {"a": "one", "b": "two"}}' if "index" in file else "{}"
        )


def test_what_the_hub_refuses(tmp_path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    names = [f"someone/{name}" for name in ANSWERS]
    try:
        said = asked(
            names, tmp_path, HF_ENDPOINT=f"http://127.0.0.1:{server.server_port}", HF_TOKEN=""
        )
    finally:
        server.shutdown()
        server.server_close()
    assert "is gated" in said["someone/gated"]
    assert "https://huggingface.co/someone/gated, then `hf auth login`" in said["someone/gated"]
    assert "no folder 'someone/absent' here and no model 'someone/absent'" in said["someone/absent"]
    assert f"has no revision '{COMMIT}'" in said["someone/other-commit"]
    assert all("model.llava" in line or "revision" in line for line in said.values())
    assert not any("\n" in line for line in said.values())


INDEX = "model.safetensors.index.json"


def test_what_is_not_in_the_cache(tmp_path):
    cached(tmp_path, "someone/whole", "config.json", "model.safetensors")
    cached(tmp_path, "someone/latest", "config.json", "model.safetensors")
    cached(tmp_path, "someone/half", "config.json", INDEX, "one")
    cached(tmp_path, "someone/pickle", "config.json", "pytorch_model.bin")
    names = ["nothing", "whole", "latest", "half", "pickle"]
    names = ["no such folder", *(f"someone/{name}" for name in names)]
    said = asked(names, tmp_path, HF_HUB_OFFLINE="1")
    nothing = said["someone/nothing"]
    assert f"HF_HUB_OFFLINE is set, and it is not in the cache, {tmp_path}" in nothing
    assert f"`hf download someone/nothing --revision {COMMIT} --local-dir FOLDER`" in nothing
    assert "give FOLDER in model.llava" in nothing
    assert "a hub id looks like owner/name" in said["no such folder"]
    # The commit is named where none was given: what is the latest may change.
    assert said["someone/latest"] == f"someone/latest@{COMMIT}"
    assert "its two is not in the cache" in said["someone/half"]
    assert "pickles are never read" in said["someone/pickle"]
    assert "from_pretrained('someone/pickle').save_pretrained('FOLDER')" in said["someone/pickle"]


def test_a_hub_that_cannot_be_reached():
    """Its client tries again for half a minute before it raises this."""
    error = OSError("We couldn't connect")
    error.__cause__ = LocalEntryNotFoundError("no connection")
    said = str(unavailable("someone/model", None, "model.clip", error))
    assert "the hub cannot be reached, and it is not in the cache" in said
    assert "`hf download someone/model --local-dir FOLDER` and give FOLDER in model.clip" in said
