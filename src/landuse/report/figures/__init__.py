"""Every picture of the report, one function each: tables in, a matplotlib figure out."""
