"""Store: the tables of the lake (Delta), the small changing tables (SQLite), and the engine that queries them."""
