"""What end-to-end tests are built from: hellos made to the byte, origins that misbehave, and running proxies."""
