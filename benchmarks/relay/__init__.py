"""The relay, measured over sockets beside a bare ASGI application and sse-starlette."""
