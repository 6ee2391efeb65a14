"""Published systems, built again as experiments of this package: guests that the product never imports.

For: comparing the method with what came before it, on the same data and metrics.
Must not know: nothing is kept from them; but no other room may know them.
"""
