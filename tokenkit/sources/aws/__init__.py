"""AWS: what the sources of AWS share: shapes of files, ids and ARNs, codes of refusal, tables that were exported."""
