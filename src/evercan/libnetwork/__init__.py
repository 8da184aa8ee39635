"""The engine's side: libnetwork's remote driver protocol over a unix socket.

``requests`` turns JSON into typed requests, ``routes`` maps the verbs to the
driver, ``server`` serves them and is the one place where an exception becomes
``{"Err": …}``.
"""
