"""The one TLS context of this process.

In      the machine's certificates, or those that SSL_CERT_FILE and SSL_CERT_DIR name
Out     an SSLContext for HTTP/1.1 clients, made once: loading certificates takes 40 ms each time
Errors  OSError, ssl.SSLError where the certificates cannot be read
Source  the `ssl` module; certifi comes with httpx
"""

import ssl
from functools import cache

import certifi

__all__ = ["shared_context"]


@cache
def shared_context() -> ssl.SSLContext:
    """The context that every transport of this process uses unless it is given its own. Not to be changed."""
    context = ssl.create_default_context()
    if not context.cert_store_stats()["x509_ca"] and not ssl.get_default_verify_paths().capath:
        context.load_verify_locations(certifi.where())  # a Python whose OpenSSL knows no folder of this machine
    context.set_alpn_protocols(["http/1.1"])
    return context
