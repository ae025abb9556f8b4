"""The pages, one module with one router for each area; console.web.app lists them."""
