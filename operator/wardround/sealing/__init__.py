"""Keys, envelopes, bodies and manifests: a file opens for one recipient only, and its sender is verified.

Keys, salts and nonces come from the operating system, and not from a parameter as all other random numbers: a caller
that passes the same bytes twice would repeat a nonce, and the store could then read and forge what is sealed.
"""
