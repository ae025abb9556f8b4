"""Drafts from what is configured and recorded: impact assessment, record of processing, agency list, breach."""
