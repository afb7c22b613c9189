"""A server that refuses in ways real servers do: what it answers depends on the path. Arguments: a file for its port,
and, for HTTPS, certificate and key."""

import http.server
import socket
import ssl
import struct
import sys
import threading


class Refusal(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if "/private" in self.path:
            self.answer(401, b"Unauthorized\n", WWW_Authenticate='Basic realm="Gitea"')
        elif "/gone" in self.path:
            self.answer(404, b"Not Found\n")
        elif "/unavailable" in self.path:
            self.answer(503, b"Service Unavailable\n")
        elif "/reset" in self.path:
            # Linger 0: closing sends RST instead of FIN.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.rfile.close()
            self.connection.close()
        elif "/cut" in self.path:
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            self.wfile.write(b"x" * 5000)
            self.close_connection = True
        elif "/silent" in self.path:
            threading.Event().wait(30)
        elif "/limited/" in self.path and "/manifests/" in self.path:
            body = b'{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit"}]}'
            self.answer(429, body, Content_Type="application/json")
        else:
            self.answer(200, b"ok\n", Docker_Distribution_Api_Version="registry/2.0")

    do_HEAD = do_POST = do_PUT = do_GET

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusal)
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    server.socket = context.wrap_socket(server.socket, server_side=True)
with open(sys.argv[1], "w") as file:
    file.write(str(server.server_port))
server.serve_forever()
