"""A real HTTP server on loopback whose sustained rate is known from theory.

It answers each request at the time that a G/G/c queue in virtual time says, so no error builds up,
and a load test against it can be checked against the truth.
"""

from capplan.refserver.child import RefServer
from capplan.refserver.config import RefServerConfig, parse_service
from capplan.refserver.server import serve
from capplan.refserver.truth import Theory, theory

__all__ = ["RefServer", "RefServerConfig", "Theory", "parse_service", "serve", "theory"]
