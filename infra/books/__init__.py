"""The books for other programs and for people: plain-text accounting, CSV, XLSX; streamed, and checked outside."""
