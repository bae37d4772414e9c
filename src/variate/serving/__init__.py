"""Networks in deployment: exporting, opening and serving them."""
