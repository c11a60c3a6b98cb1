"""Registers over HTTP, in memory alone: one node of them keeps every promise until it dies."""
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

registers = {}


class Registers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        held = registers.get(self.path)
        self.answer(404 if held is None else 200, held or b"")

    def do_PUT(self):
        registers[self.path] = self.rfile.read(int(self.headers["content-length"]))
        self.answer(204, b"")

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, *_):
        pass


ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Registers).serve_forever()
