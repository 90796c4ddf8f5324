"""The one TLS context of this process: loading the certificates takes 40 ms, so it is done once.

The certificates are the machine's, or those that SSL_CERT_FILE and SSL_CERT_DIR name; certifi's where OpenSSL finds none.
"""

import ssl
from functools import cache

import certifi


@cache
def shared_context() -> ssl.SSLContext:
    """The TLS context of every transport that is not given its own. Do not change it: it is shared."""
    context = ssl.create_default_context()
    if not context.cert_store_stats()["x509_ca"] and not ssl.get_default_verify_paths().capath:
        context.load_verify_locations(certifi.where())  # a Python whose OpenSSL knows no folder of this machine
    context.set_alpn_protocols(["http/1.1"])
    return context
