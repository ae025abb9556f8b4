"""The console in the browser: pages from the server, for people of the lender and of agencies."""
