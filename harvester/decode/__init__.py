"""Bytes become pages: envelopes, heads of records, judgements of answers, lines for shards. Nothing here is async."""
