"""HTTP: routing, transports for any SDK, the proxy, the middleware and the dashboard, on the one engine.

The law: whoever asks gets what the provider would have sent, or an error in the provider's own shape; what cannot be
cached passes through untouched.
"""
