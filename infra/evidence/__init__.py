"""What a debtor or a court is handed about disclosures: a file that proves itself, and pages to read."""
