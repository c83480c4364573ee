"""DECIDES. No I/O, no clock, no logging, no third party but orjson: time and randomness come in as arguments."""
