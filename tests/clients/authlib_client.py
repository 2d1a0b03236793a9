"""authlib gets, introspects and revokes tokens with each client authentication; PyJWT verifies them.

Reads a JSON object from standard input: issuer, client_id, client_secret, key_client_id, private_jwk.
"""
import json, sys, urllib.request
import jwt
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import OKPKey
from jwt import PyJWKClient

given = json.load(sys.stdin)
issuer = given["issuer"]
host, _, path = issuer.split("://", 1)[1].partition("/")
metadata_url = issuer.split("://", 1)[0] + "://" + host + "/.well-known/oauth-authorization-server/" + path
metadata = json.load(urllib.request.urlopen(metadata_url.rstrip("/"), timeout=5))
assert metadata["issuer"] == issuer, metadata


def session(method):
    if method != "private_key_jwt":
        return OAuth2Session(given["client_id"], given["client_secret"], token_endpoint_auth_method=method,
                             revocation_endpoint_auth_method=method)
    # The audience of the assertion is the issuer, not the token endpoint (RFC 7523bis, FAPI 2.0).
    auth = PrivateKeyJWT(token_endpoint=issuer, alg="EdDSA")
    oauth = OAuth2Session(given["key_client_id"], OKPKey.import_key(given["private_jwk"]), token_endpoint_auth_method="private_key_jwt",
                          revocation_endpoint_auth_method="private_key_jwt")
    oauth.register_client_auth_method(auth)
    return oauth


for method in ["client_secret_basic", "client_secret_post", "private_key_jwt"]:
    oauth = session(method)
    token = oauth.fetch_token(metadata["token_endpoint"], grant_type="client_credentials")
    access = token["access_token"]
    assert token["token_type"] == "Bearer" and token["expires_in"] > 0, token
    key = PyJWKClient(metadata["jwks_uri"]).get_signing_key_from_jwt(access)
    claims = jwt.decode(access, key.key, algorithms=["EdDSA", "ES256", "RS256", "PS256"], audience=issuer, issuer=issuer)
    assert claims["client_id"] == claims["sub"], claims
    assert jwt.get_unverified_header(access)["typ"] == "at+jwt"
    told = oauth.introspect_token(metadata["introspection_endpoint"], token=access).json()
    assert told["active"] is True and told["jti"] == claims["jti"], told
    revoked = oauth.revoke_token(metadata["revocation_endpoint"], token=access)
    assert revoked.status_code == 200, revoked.text
    print(method, "token, verification, introspection, revocation: ok")
