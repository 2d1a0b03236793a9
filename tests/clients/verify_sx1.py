"""Verifies signed URLs (format sx1) from the published keys alone: python verify_sx1.py ISSUER URL [NOW].

Written from the public description of the format, to prove that it is enough. Prints "ok ID" or "refused REASON".
"""
import base64, json, re, sys, time, urllib.request
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ORDER = ["sx-k", "sx-e", "sx-i", "sx-n", "sx-m", "sx-w", "sx-c", "sx-s"]
REQUIRED = {"sx-k", "sx-e", "sx-i", "sx-s"}


def decode(text):
    if not re.fullmatch(r"[A-Za-z0-9_-]+", text):
        raise ValueError("not_canonical")
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != text:
        raise ValueError("not_canonical")  # another spelling of the same bytes
    return raw


def published_keys(issuer):
    with urllib.request.urlopen(issuer + "/sx/jwks.json", timeout=5) as answer:
        keys = json.load(answer)["keys"]
    return {key["kid"]: Ed25519PublicKey.from_public_bytes(decode(key["x"])) for key in keys if key["kty"] == "OKP"}


def verify(keys, url, method="GET", now=None):
    now = time.time() if now is None else now
    scheme, rest = url.split("://", 1)
    host, slash, tail = rest.partition("/")
    target = slash + tail
    if not target.isascii() or len(target) > 8192 or re.search(r"[\x00-\x20\x7f;]|//|/\.{1,2}(/|$|\?)", target.split("?")[0]):
        raise ValueError("not_canonical")
    path, _, query = target.partition("?")
    suffix = [part for part in query.split("&") if part.startswith("sx-")]
    if query.split("&")[len(query.split("&")) - len(suffix):] != suffix:
        raise ValueError("not_canonical")  # sx-* is a suffix
    names = [part.split("=", 1)[0] for part in suffix]
    if names != [name for name in ORDER if name in names] or not REQUIRED <= set(names):
        raise ValueError("not_canonical")
    values = dict(part.split("=", 1) for part in suffix)
    if values["sx-k"] not in keys:
        raise ValueError("unknown_key")
    signed = "sx1\n" + host.lower() + "\n" + target[: target.rindex("&sx-s=")]
    try:
        keys[values["sx-k"]].verify(decode(values["sx-s"]), signed.encode())
    except InvalidSignature:
        raise ValueError("signature_invalid") from None
    identifier = decode(values["sx-i"])
    issued = int.from_bytes(identifier[:4], "big")
    if now >= int(values["sx-e"]):
        raise ValueError("expired")
    if now + 30 < max(issued, int(values.get("sx-n", 0))):
        raise ValueError("not_yet_valid")
    methods = values.get("sx-m", "GET.HEAD").split(".")
    if method not in methods and not (method == "HEAD" and "GET" in methods):
        raise ValueError("method_not_signed")
    if re.search(r"(^|\.)[urxp]", values.get("sx-c", "")):
        raise ValueError("needs_online")  # counts, rates and server-side policies need the gateway
    return values["sx-i"]


if __name__ == "__main__":
    try:
        when = float(sys.argv[3]) if len(sys.argv) > 3 else None
        print("ok", verify(published_keys(sys.argv[1]), sys.argv[2], now=when))
    except ValueError as refused:
        print("refused", refused)
