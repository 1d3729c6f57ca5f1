"""Reads requests with the parsers of Python's own library, and prints what it has read, one JSON object a line.

The first line is the address that it listens on.
"""

import json
import sys
import threading
import xml.etree.ElementTree as ElementTree
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit


def without_repeats(pairs):
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names)), names
    return dict(pairs)


def of_format(value):
    """What bears the name, in a body of one of the payload's formats."""
    if "state" in value:
        assert all(isinstance(text, str) for text in value.values()), value
        return {"name": value.get("member_name", ""), "note": value.get("note", "")}
    data = value["data"]
    read = {"type": value["type"], "name": data["member_name"], "note": data["variables"].get("note")}
    if "specversion" in value:
        assert value["specversion"] == "1.0" and value["datacontenttype"] == "application/json", value
        assert value["id"] == data["id"] and value["subject"] == str(data["attempt_id"]), value
        assert value["time"] == data["timestamp"], value
        read["source"] = [unquote(part) for part in urlsplit(value["source"]).path.split("/")]
    return read


def read_body(flow, media_type, body):
    if media_type in ("application/json", "application/cloudevents+json"):
        value = json.loads(body, object_pairs_hook=without_repeats)
        return of_format(value) if flow in ("Standard", "CloudEvents", "Webitel") else value
    text = body.decode("utf-8")
    if media_type == "application/x-www-form-urlencoded":
        return parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict")
    if media_type == "text/plain":
        return text.splitlines()
    root = ElementTree.fromstring(text)
    children = [child.tag for child in root]
    return {"tag": root.tag, "attributes": root.attrib, "text": root.text or "", "children": children}


printing = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        assert "Content-Length" not in self.headers and "Transfer-Encoding" not in self.headers, self.headers
        self.read(lambda flow: None)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.read(lambda flow: read_body(flow, self.headers.get_content_type(), body))

    def read(self, body):
        url = urlsplit(self.path)
        path = [unquote(part, errors="strict") for part in url.path.split("/")[1:]]
        names = self.headers.get_all("x-name", [])
        line = json.dumps({
            "path": path,
            "query": parse_qsl(url.query, keep_blank_values=True, errors="strict"),
            "x-name": [unquote(name, errors="strict") for name in names],
            "body": body(path[0]),
        })
        with printing:
            print(line, flush=True)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print("127.0.0.1:%d" % server.server_port, flush=True)
try:
    server.serve_forever()
except KeyboardInterrupt:
    sys.exit(0)
