"""Docker's health check: exits with 0 when /health answers 200."""

import http.client
import sys

connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=4)
connection.request("GET", "/health")
sys.exit(connection.getresponse().status != 200)
