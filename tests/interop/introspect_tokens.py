"""Introspects tokens with Authlib, a client of RFC 7662 with HTTP Basic.

Reads one JSON object from standard input: url, client_id, client_secret, tokens. Writes a list: for each token the
status and the JSON of the answer.
"""

import json
import sys

from authlib.integrations.requests_client import OAuth2Session

question = json.load(sys.stdin)
session = OAuth2Session(
    question["client_id"], question["client_secret"], token_endpoint_auth_method="client_secret_basic"
)
session.trust_env = False


def introspect(token):
    answer = session.introspect_token(question["url"], token=token, token_type_hint="access_token")
    return {"status": answer.status_code, "answer": answer.json()}


json.dump([introspect(token) for token in question["tokens"]], sys.stdout)
