"""Serves moto's S3 on 127.0.0.1: `serve.py PORT`.

Requests are answered one after the other. moto looks whether an object exists and then writes it; two requests at one
moment could both find nothing, which an object store with conditional writes never does.
"""

import sys
from threading import Lock

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, run_simple

application = DomainDispatcherApplication(create_backend_app)
one_at_a_time = Lock()


def serve(environ, start_response):
    with one_at_a_time:
        return list(application(environ, start_response))


class Quiet(WSGIRequestHandler):
    # Connections are kept, as object stores keep them.
    protocol_version = "HTTP/1.1"

    def log_request(self, *_):
        pass


run_simple("127.0.0.1", int(sys.argv[1]), serve, threaded=True, request_handler=Quiet)
