"""World: simulated organisations with the truth about them, for the demo, the bench and the tests.

``simulate_logs`` writes raw logs, an inventory and truth.json, as the demo reads them. ``simulate_lake`` fills a
workspace's lake directly, with the events that ``ingest`` would have made of such logs, for organisations whose raw
logs would be too large. Both are deterministic: the same arguments give the same bytes.

From arguments to files: ``demo_organisation`` or ``bench_organisation`` makes people and tokens (``organisation``),
``traffic`` draws each token's requests from its job (``catalogue``) and kind of behaviour (``archetypes``),
``benign_changes`` and ``attacks`` change them, and ``log_formats`` or ``lake_rows`` writes them.
"""

from tokenkit.world.to_lake import simulate_lake
from tokenkit.world.to_logs import EVENTS_PER_TOKEN_DAY, simulate_logs

__all__ = ["EVENTS_PER_TOKEN_DAY", "simulate_lake", "simulate_logs"]
