"""The client, measured over sockets against a load server in another process."""
