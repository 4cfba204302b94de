"""From one row a case to means with intervals: rows, summary, table and the ledger of test looks."""
