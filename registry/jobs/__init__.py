"""Work that one elected process of a host does for all of them."""
