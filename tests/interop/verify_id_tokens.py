"""Verifies ID tokens with PyJWT, as a game server does that asks nobody but the published keys.

Reads one JSON object from standard input: tokens, issuer, audience, and either jwks_url or jwks (keys that were fetched
before). Writes a list: for each token its claims, or the name of the error it was refused with.
"""

import json
import sys

import jwt


def key_source(question):
    if "jwks_url" in question:
        client = jwt.PyJWKClient(question["jwks_url"])
        return lambda token: client.get_signing_key_from_jwt(token).key
    keys = {key.key_id: key.key for key in jwt.PyJWKSet.from_dict(question["jwks"]).keys}
    return lambda token: keys[jwt.get_unverified_header(token)["kid"]]


def verify(token, key_of, question):
    try:
        claims = jwt.decode(
            token,
            key_of(token),
            algorithms=["EdDSA"],
            issuer=question["issuer"],
            audience=question["audience"],
            options={"require": ["iss", "sub", "aud", "iat", "exp", "auth_time", "sid"]},
        )
    except (jwt.PyJWTError, KeyError) as error:
        return {"refused": type(error).__name__}
    return {"claims": claims}


question = json.load(sys.stdin)
key_of = key_source(question)
json.dump([verify(token, key_of, question) for token in question["tokens"]], sys.stdout)
