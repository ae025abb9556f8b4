"""What an account's line must be before it is let in: fields, readings, checks, buckets. Pure rules over columns."""
